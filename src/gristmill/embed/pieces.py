"""Text to the piece numbers of a sentencepiece model, as Universal Sentence Encoder multilingual reads them."""

from pathlib import Path

__all__ = ["Pieces"]

_UNKNOWN, _BEGIN, _END = 0, 1, 2


class Pieces:
    """The tokenizer of the model in ``file``: about a tenth of a millisecond for a chunk."""

    def __init__(self, file: Path) -> None:
        from sentencepiece import SentencePieceProcessor

        self._processor = SentencePieceProcessor(model_file=str(file))

    def numbers(self, text: str) -> list[int]:
        """The pieces of ``text`` between the marks of its beginning and its end."""
        found: list[int] = self._processor.encode(text, out_type=int)
        if _UNKNOWN in found:
            # The library makes one piece of neighbouring unknown characters; the weights take each for a piece.
            pieces: list[str] = self._processor.encode(text, out_type=str)
            lengths = (len(piece) if number == _UNKNOWN else 1 for number, piece in zip(found, pieces, strict=True))
            found = [number for number, length in zip(found, lengths, strict=True) for _ in range(length)]
        return [_BEGIN, *(found or [_UNKNOWN]), _END]
