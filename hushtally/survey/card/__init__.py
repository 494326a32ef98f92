"""`hushtally survey card`: a data protection impact assessment (DPIA) of a survey."""
