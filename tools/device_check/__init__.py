"""The parts of tools/device-check: kit.py finds programs and runs steps, parts.py says which, record.py judges and writes."""
