"""What an operator watches: numbers in the forms that monitors read."""

__all__: list[str] = []
