"""The parts of `tests/interop/run`: packages, processes, scene (servers and gateways), suite (cases), verdict."""
