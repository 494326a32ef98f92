"""The SDK that runs on a customer's device, on the standard library and pure-eval. Apps import from `hushtally`."""
