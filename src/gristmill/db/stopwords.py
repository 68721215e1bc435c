"""Terms too common to search for, in the form the tokenizer gives them: English stems and Chinese pairs."""

__all__ = ["is_stop_term"]

_ENGLISH = frozenset(
    """
    a about after all also am an and ani are as at be becaus been befor but by can could did do doe don done each for
    from get had has have he her here him his how i if in into is it it its just me more most much my no not of on onli
    or other our out over s she should so some such t than that the their them then there these they this those through
    to too up us was we were what when where which while who whi will with would you your
    """.split()  # noqa: SIM905 - a list of quoted words is harder to read and to sort
)
_CHINESE = frozenset(
    """
    的 了 是 在 和 与 及 或 吗 呢 吧 啊 么 我 你 他 她 它 们 这 那 有 就 也 都 而 着 把 被 让 对 从 到 为
    如何 什么 怎么 怎样 为何 何为 哪些 哪个 哪里 多少 是否 可以 能否 能不 不能
    我们 你们 他们 它们 这个 那个 这些 那些 一个 一些
    一下 以及 或者 并且 而且 但是 因为 所以 如果 那么
    就是 不是 还是 没有 已经 应该 可能 需要 请问 关于 对于 由于 的是 是什 是怎
    """.split()  # noqa: SIM905 - a list of quoted words is harder to read and to sort
)
_PARTICLES = frozenset("的了吗呢吧啊么")
_WORDS_WITH_PARTICLES = frozenset("目的 的确 标的 的士 中的 了解 明了 了结 了断 酒吧 网吧 吧台".split())  # noqa: SIM905 - a list of quoted words is harder to read and to sort


def is_stop_term(term: str) -> bool:
    """Whether ``term`` says nothing about a document: a function word, or a Chinese pair around a particle."""
    if term.isascii():
        return term in _ENGLISH
    if term in _CHINESE:
        return True
    return len(term) <= 2 and not _PARTICLES.isdisjoint(term) and term not in _WORDS_WITH_PARTICLES
