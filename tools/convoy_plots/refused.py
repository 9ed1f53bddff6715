"""What a user can put right: one line, exit code 2."""


class Refused(Exception):
    pass


def one_line(text):
    """What may come from a file or a library, for the terminal: printable, on one line."""
    return "".join(c if c.isprintable() else " " for c in " ".join(str(text).split()))
