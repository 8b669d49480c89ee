"""Every language says everything, and fills in the same values."""

import ast
import json
import re
from pathlib import Path

import pytest

import cnnvis_widgets
from cnnvis_widgets.locale import LANGUAGES, language_names, say, sentences
from cnnvis_widgets.widgets.stage import module_text

PACKAGE = Path(cnnvis_widgets.__file__).parent
OTHERS = [code for code in LANGUAGES if code != "en"]


def read(code: str) -> dict[str, str]:
    """A language's own file, where `sentences` would fill gaps with English."""
    return json.loads((PACKAGE / "locale" / f"{code}.json").read_text(encoding="utf-8"))


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


def test_languages_are_the_files_that_are_there_english_first():
    assert LANGUAGES[0] == "en"
    assert set(LANGUAGES) == {file.stem for file in (PACKAGE / "locale").glob("*.json")}
    assert language_names()["en"] == "English"
    assert language_names()["zh"] == "中文"


@pytest.mark.parametrize("code", OTHERS)
def test_every_sentence_is_translated_with_the_same_values(code):
    english, other = read("en"), read(code)
    assert other.keys() == english.keys()
    assert {k: placeholders(v) for k, v in other.items()} == {k: placeholders(v) for k, v in english.items()}


def test_chinese_is_chinese():
    """Where English has a word Chinese has one too, with Chinese punctuation after it."""
    english = read("en")
    for key, text in read("zh").items():
        if re.search("[A-Za-z]{2}", re.sub(r"\{\w+\}", "", english[key])):
            assert re.search("[\u4e00-\u9fff]", text), key
        assert not re.search("[\u4e00-\u9fff][,;:!(]", text), key


def test_every_sentence_that_python_says_exists():
    keys = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                keys |= set(re.findall(r"^explorer\.[a-z_.]+[a-z]$", node.value))
    assert len(keys) >= 5
    assert keys <= set(sentences("en"))


def test_every_sentence_of_a_key_exists():
    says = re.findall(r'says: "([a-z_.]+)"', module_text())
    assert len(says) > 10
    assert set(says) <= set(sentences("en"))


def test_values_are_filled_in_in_every_language():
    for code in LANGUAGES:
        words = say("stage.says.unit", code, unit=7, value="4.2", y=5, x=6)
        assert re.findall(r"[\d.]+\d|\d", words) == ["7", "4.2", "5", "6"]
