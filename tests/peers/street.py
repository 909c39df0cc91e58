"""The simulated street, where tests look for their peers."""

from menwei_simulator.street import START_SECONDS, Address, Street

__all__ = ["START_SECONDS", "Address", "Street"]
