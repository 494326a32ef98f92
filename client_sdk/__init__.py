"""The SDK that runs on a customer's device: standard library and pure-eval only. Apps import it from `hushtally`."""
