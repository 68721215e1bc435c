"""Which of our languages a client reads, from its Accept-Language header (RFC 9110, section 12.5.4)."""

__all__ = ["chosen_language"]


def chosen_language(accepted: str, default: str) -> str:
    """``zh`` or ``en``, whichever ``accepted`` ranks higher; ``default`` if it names neither."""
    best, best_weight = default, 0.0
    for entry in accepted.split(","):
        tag, _, parameter = entry.partition(";")
        language = tag.strip().lower().partition("-")[0]
        weight = _weight(parameter)
        if language in ("en", "zh") and weight > best_weight:
            best, best_weight = language, weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return min(1.0, float(value))
    except ValueError:
        return 0.0
