"""Pure: describes a survey and a device to people, in words."""
