"""The sentences that test files carry and that tests look for."""

__all__ = ["CHINESE", "CHINESE_TITLE", "ENGLISH", "ENGLISH_TITLE"]

ENGLISH_TITLE = "Winter grain report"
ENGLISH = "The mill ground forty-two sacks of rye before the frost."
CHINESE_TITLE = "冬季粮食报告"
CHINESE = "霜冻之前，磨坊磨了四十二袋黑麦，仓库里堆满了面粉。"
