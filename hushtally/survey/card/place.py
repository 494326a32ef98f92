"""Where the device is, and what follows for the people whose events it stores."""

from __future__ import annotations

from hushtally.client_sdk.explain.data_use import DEVICE
from hushtally.survey.card.field import Device


def describe_device(device: Device | None) -> str:
    """Whose machine the device is, and whom the randomization does not protect from."""
    match device:
        case Device.CUSTOMER:
            return (
                "The device is the customer's own machine. The recorded events are kept on it and never sent to the"
                " operator."
            )
        case Device.KIOSK:
            return (
                "The device is a kiosk, a machine of the operator that many customers use. It stores the recorded"
                " events of all of them in plain form. The randomization protects customers from everyone behind the"
                " kiosk, but not from anyone who can read its disk."
            )
        case Device.OPERATOR:
            return (
                "The device is the operator's server. It stores the recorded events of all customers in plain form, so"
                " the operator holds them. The randomization protects customers from everyone behind that server, but"
                " not from anyone who can read its disk."
            )
    return DEVICE


def storage(device: Device | None) -> str:
    """The place where the recorded events are, such as "the customer's device"."""
    match device:
        case Device.CUSTOMER:
            return "the customer's device"
        case Device.KIOSK:
            return "the kiosk, a machine of the operator"
        case Device.OPERATOR:
            return "the operator's server"
    return "the device"


def access_to_events(device: Device | None) -> str:
    """How a person gets access to the recorded events, and how they are erased."""
    erase = "A withdrawal in the app erases them."
    match device:
        case Device.CUSTOMER:
            return f"The recorded events are on the customer's own machine; the operator does not hold them. {erase}"
        case Device.KIOSK | Device.OPERATOR:
            return (
                f"The recorded events are on {storage(device)}, under a hash of the app's key for the customer. They"
                f" are personal data that the operator holds. {erase}"
            )
    return f"The recorded events are on the device. {erase}"
