"""Secret forms: find access keys of known services, private key blocks and passwords in URLs."""

import re
from collections.abc import Iterator

from domain.redaction.folding import Folded

Span = tuple[int, int, str]
"""Where something begins and ends in a text, and its kind."""

_HEADER = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_FOOTER = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")

# Access keys whose first letters say whose they are, as the services that issue them document.
_SERVICE_KEY = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}|gh[pousr]_\w{20,255}|github_pat_\w{20,255}"
    r"|gl(?:pat|dt|rt|ptt|cbt|soat|ft)-[\w-]{12,255}|xox[abeprs]-[\w-]{10,255}|xapp-[\w-]{10,255}"
    r"|(?:sk|rk|pk)_(?:live|test)_\w{8,255}|sk-[\w-]{16,255}|AIza[\w-]{30,45}|ya29\.[\w-]{10,255}"
    r"|1//0[\w-]{8,255}|SG\.[\w-]{10,64}\.[\w-]{10,128}|npm_[A-Za-z0-9]{20,64}|pypi-[\w-]{16,255}"
    r"|dop_v1_[a-f0-9]{16,128}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{16,64}|hf_[A-Za-z0-9]{20,64}"
    r"|glsa_\w{16,128}|lin_api_\w{16,128}|hv[sb]\.[\w-]{16,255}|dapi[a-f0-9]{24,64}"
    r"|whsec_[\w+/=]{12,255}|AGE-SECRET-KEY-1[A-Z0-9]{16,128}|EAA[A-Za-z0-9]{20,255}"
    r"|key-[a-f0-9]{24,64}|[0-9]{8,10}:AA[\w-]{30,40}|SK[a-f0-9]{32}|sq0[a-z]{3}-[\w-]{16,64}"
    r"|eyJ[\w-]{6,16384}\.[\w-]{4,16384}(?:\.[\w-]{0,16384})?"
    r")(?![A-Za-z0-9])"
)
_HOOK = re.compile(r"hooks\.slack\.com/(?:services|workflows)/([\w/-]{8,255})")

# The last @ before a blank or slash ends the password, which may contain another @.
_URL = re.compile(r"[a-z][a-z0-9+.-]{1,20}://([^\s/:@]{0,255}):([^\s/]{1,1024})@(?=[^\s@])")
_USER_OPTION = re.compile(r"-u(?:ser)?[ =]['\"]?[\w.@-]{1,64}:([^\s'\"]{2,255})")
_SHORT_OPTION = re.compile(
    r"(?:mysql|mariadb|mysqldump|sshpass)\b[^\n;|]{0,80}? -p ?['\"]?([^\s'\"]{3,255})"
)
_LOOSE_SCHEME = re.compile(
    r"(?<![a-z0-9_-])(bearer|basic)(?:\s+auth)?\s+([A-Za-z0-9._~+/=-]{8,16384})", re.I
)
_LEAST_TOKEN = 8


def forms_in(text: Folded) -> Iterator[Span]:
    """Yield the span of every secret that can be recognized by its form; spans may overlap."""
    plain = text.plain
    if "-----BEGIN" in plain:
        yield from _blocks(plain)
    if "://" in plain:
        yield from ((*match.span(2), "secret") for match in _URL.finditer(plain))
        yield from ((*match.span(1), "secret") for match in _HOOK.finditer(plain))
    yield from ((*match.span(), "secret") for match in _SERVICE_KEY.finditer(plain))
    for pattern in (_USER_OPTION, _SHORT_OPTION):
        yield from ((*match.span(1), "secret") for match in pattern.finditer(plain))
    yield from _loose_schemes(plain)


def _blocks(plain: str) -> Iterator[Span]:
    done = 0
    for header in _HEADER.finditer(plain):
        if header.start() < done:
            continue
        footer = _FOOTER.search(plain, header.end())
        done = end = footer.start() if footer else len(plain)
        body = plain[header.end() : end]
        start = header.end() + len(body) - len(body.lstrip().removeprefix("\\n").lstrip())
        end = header.end() + len(body.rstrip().removesuffix("\\n").rstrip())
        if start < end:
            yield start, end, "secret"


def _loose_schemes(plain: str) -> Iterator[Span]:
    for match in _LOOSE_SCHEME.finditer(plain):
        value = match[2].rstrip(".")
        is_long = len(value) >= 2 * _LEAST_TOKEN
        is_mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
        is_cased = not value[1:].islower() and not value[1:].isupper()
        has_form = (is_mixed and (is_long or is_cased)) or (is_cased and is_long)
        if has_form or value.endswith("="):
            yield match.start(2), match.start(2) + len(value), "secret"
