"""One spelling for what answers write in several: Unicode or LaTeX, grouped digits, mixed numbers, e-notation."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 2000
"""Characters of the longest answer that is rewritten."""

_GREEK = ("alpha", "beta", "gamma", "delta", "theta", "lambda", "mu", "sigma", "phi", "omega")
_SIGNS = {
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", ""),
    # Thin spaces group digits; the others part words.
    **dict.fromkeys("\u2006\u2008\u2009\u200a\u202f", r"\,"),
    **dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2007\u3000", " "),
    **dict.fromkeys("−‐‑‒–—﹣－", "-"),
    "×": r"\times ",
    **dict.fromkeys("·⋅∙", r"\cdot "),
    "÷": r"\div ",
    "±": r"\pm ",
    "∓": r"\mp ",
    "π": r"\pi ",
    "∞": r"\infty ",
    "≤": r"\le ",
    "≥": r"\ge ",
    "≠": r"\ne ",
    "≈": r"\approx ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∈": r"\in ",
    "∅": r"\emptyset ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    **dict.fromkeys("°º˚", r"^\circ "),
    "′": "'",
    "…": r"\ldots ",
    "⁄": "/",
    **{sign: f"\\{name} " for sign, name in zip("αβγδθλμσφω", _GREEK, strict=True)},
}
_TABLE = str.maketrans(_SIGNS)
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_RAISED_RUN = re.compile(f"[{''.join(_RAISED)}]+")
_LOWERED_RUN = re.compile(f"[{''.join(_LOWERED)}]+")
_VULGAR = re.compile("[¼-¾⅐-⅞↉]")
_ROOT = re.compile(r"([√∛∜])\s*(?:\(([^()]*)\)|\{([^{}]*)\}|(\d+(?:\.\d+)?|[A-Za-z]))")
_DEGREES = {"√": "", "∛": "[3]", "∜": "[4]"}
_SILENT = re.compile(
    r"(?<!\\)\$|\\[()\[\]]|\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits|quad|qquad)(?![A-Za-z])\.?|\\!(?!\d)"
)
_STYLED = re.compile(r"\\(?:mathbf|textbf|boldsymbol|bm|mathit|textit|emph|textrm|mathrm|mbox|operatorname)\s*(?=\{)")
_SHORT_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:(\d)|\{([^{}]*)\})\s*(?:(\d)|\{([^{}]*)\})")
_DOTS = re.compile(r"\\(?:dots|cdots|dotsc|dotsb)(?![A-Za-z])|\.\.\.")
_SEPARATOR = r"(?:\\[,!;: ]|\{,\}|~|'|’| )"
_GROUPED = re.compile(rf"(?<![\d.,])(\d{{1,3}})((?:{_SEPARATOR}\d{{3}})+)(?!\d)")
_GROUPED_DECIMALS = re.compile(r"(?<=\d\.)(\d{3})((?:\\,\d{3})*\\,\d{1,3})(?!\d)")
_MIXED = re.compile(r"(?<![\d.}])(\d{1,9})\s+(\d{1,9})\s*/\s*(\d{1,9})(?![\d.])")
_SCIENTIFIC = re.compile(r"(?<![\w.\\}])(\d+(?:\.\d*)?|\.\d+)[eE]([-+]?\d{1,4})(?![\w.])")
_LOOSE_DIGITS = re.compile(r"(?<![_^\d])(\d+)\s+(?=\d)")


def tidy(answer: str) -> str:
    """Return an answer in LaTeX's spelling, without marks that say nothing.

    `√2` becomes `\\sqrt{2}`, `½` and `\\frac12` `\\frac{1}{2}`, `x²` `x^{2}`, `45°` `45^\\circ`, `4.5e33` `4.5\\times
    10^{33}`, `70\\,000` and `70 000` `70000`, `1 1/2` `1\\frac{1}{2}`. Digits that a blank parts are never one number:
    `3 4` becomes `3, 4`. Texts of more than `LONGEST` characters are left as they are.
    """
    if len(answer) > LONGEST:
        return answer
    text = _VULGAR.sub(_spell_fraction, answer.strip())
    text = _RAISED_RUN.sub(lambda run: f"^{{{''.join(_RAISED[sign] for sign in run[0])}}}", text)
    text = _LOWERED_RUN.sub(lambda run: f"_{{{''.join(_LOWERED[sign] for sign in run[0])}}}", text)
    text = "".join(unicodedata.normalize("NFKC", sign) if "！" <= sign <= "～" else sign for sign in text)
    text = _ROOT.sub(lambda root: f"\\sqrt{_DEGREES[root[1]]}{{{root[2] or root[3] or root[4] or ''}}}", text)
    text = _STYLED.sub(r"\\text", _SILENT.sub("", text.translate(_TABLE)))
    text = _SHORT_FRACTION.sub(lambda part: f"\\frac{{{part[1] or part[2] or ''}}}{{{part[3] or part[4] or ''}}}", text)
    text = _DOTS.sub(r"\\ldots ", text).strip(" \t\n*`_")
    text = text.rstrip(".,;").rstrip() if not text.endswith("\\,") else text
    text = _MIXED.sub(r"\1\\frac{\2}{\3}", text)
    text = _GROUPED.sub(_join_groups, _GROUPED_DECIMALS.sub(_join_groups, text))
    text = _SCIENTIFIC.sub(r"\1\\times 10^{\2}", text)
    return _LOOSE_DIGITS.sub(r"\1, ", text)


def _spell_fraction(sign: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", sign[0]).partition("⁄")
    return f"\\frac{{{above}}}{{{below}}}"


def _join_groups(match: re.Match[str]) -> str:
    separators = set(re.findall(_SEPARATOR, match[2]))
    return match[1] + re.sub(r"\D", "", match[2]) if len(separators) == 1 else match[0]
