"""Validation of cron expressions."""


def is_cron(line: str) -> bool:
    """Whether Dagster accepts a cron expression: five fields that match some minute, or an alias such as @daily."""
    from croniter import croniter  # 30 ms, which commands that check no expression need not wait for

    if not croniter.is_valid(line):
        return False
    fields, *_ = croniter.expand(line)
    days, months = fields[2:4]
    return len(fields) == 5 and not (months == [2] and days in ([30], [31]))


def check_cron(line: str) -> str:
    """Return a cron expression unchanged.

    Raises:
        ValueError: Dagster would not accept it.
    """
    if not is_cron(line):
        raise ValueError('must be a cron expression of five fields, such as "0 2 * * *"')
    return line
