"""Find secrets that a traceback with local variables would show."""


def frames_that_hold(error: BaseException | None, secret: str) -> list[str]:
    """Return the local variables of an error and its causes that show a secret."""
    found = []
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        trace = error.__traceback__
        while trace is not None:
            frame = trace.tb_frame
            if "/tests/" not in frame.f_code.co_filename:
                found += [
                    f"{frame.f_code.co_qualname}: {name}"
                    for name, value in frame.f_locals.items()
                    if secret in repr(value)
                ]
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return found
