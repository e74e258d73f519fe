"""Each family of kernels keeps to its own folder and namespace, as csrc/README.md says.

Two definitions of one name in one namespace are undefined behaviour that no tool here reports: the
linker keeps either. So what a family defines is in its own namespace, in every file.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[1] / "csrc"
DEVICES = ("common", "cpu", "cuda")
SHARED = "shared"
FOREACH_ISA = "shared/cpu/foreach_isa.h"


def sources() -> dict[str, str]:
    """Return the text of every file by its name, without comments."""
    files = [path for path in CSRC.rglob("*") if path.is_file() and path.suffix != ".md"]
    return {str(p.relative_to(CSRC)): without_comments(p.read_text()) for p in files}


def faults(texts: dict[str, str]) -> list[str]:
    """Return what breaks the rules, a line each."""
    found = [
        f"{name}: not in <family>/{{{','.join(DEVICES)}}}/"
        for name in texts
        if name.count("/") != 2 or name.split("/")[1] not in DEVICES
    ]
    if found:
        return found
    for name in texts:
        found += [f"{name}: {fault}" for fault in _faults_of_includes(name, texts)]
        found += [f"{name}: {fault}" for fault in _faults_of_namespaces(name, texts)]
    return found


def _faults_of_includes(name: str, texts: dict[str, str]) -> Iterator[str]:
    family, device, _ = name.split("/")
    for directive, include in includes(texts[name]):
        if include.startswith("cuda_emulation"):  # stands in for CUDA's own headers
            continue
        if include not in texts:
            yield f"includes {include}, which is not in csrc"
            continue
        of_family, of_device, _ = include.split("/")
        if of_family not in (family, SHARED):
            yield f"includes {include} of another family"
        if of_device not in (device, "common"):
            yield f"includes {include} for another device"
        if directive != "include" or name == FOREACH_ISA or is_inner(name, texts):
            continue
        if is_inner(include, texts):
            yield f"includes {include} outside of the namespace of an instruction set"


def _faults_of_namespaces(name: str, texts: dict[str, str]) -> Iterator[str]:
    family, device, _ = name.split("/")
    own = "lelkern" if family == SHARED else f"lelkern::{family}"
    allowed = {own, f"{own}::cuda"} if device == "cuda" and family != SHARED else {own}
    namespaces, outside = scan(texts[name])
    if name == FOREACH_ISA:
        allowed = {n for n in namespaces if n.startswith("lelkern::LELKERN_ISA_FAMILY")}
    elif is_inner(name, texts):
        allowed = set()
        outside = ""
    for namespace in sorted(namespaces - allowed):
        yield f"opens namespace {namespace}"
    if definition := re.search(r"\b(struct|class|enum|inline|template|constexpr)\b.*", outside):
        yield f"defines outside of a namespace: {definition[0]}"
    for of_family in re.findall(r"#define LELKERN_ISA_FAMILY (\w+)", texts[name]):
        if of_family != family:
            yield f"compiles for the instruction sets of {of_family}"


def without_comments(text: str) -> str:
    """Return C++ without comments, and with line breaks in macros taken out."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL).replace("\\\n", " ")


def includes(text: str) -> list[tuple[str, str]]:
    """Return what is included with quotes or, by LELKERN_ISA_HEADER, for instruction sets."""
    return re.findall(r'#(include|define LELKERN_ISA_HEADER) "([^"]+)"', text)


def is_inner(name: str, texts: dict[str, str]) -> bool:
    """Say whether a header is for the inside of the namespace of an instruction set."""
    return name.endswith(".h") and name != FOREACH_ISA and "#pragma once" not in texts[name]


def scan(text: str) -> tuple[set[str], str]:
    """Return the namespaces that a file opens, in full, and what stands outside of all of them."""
    code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    code = re.sub(r'"(?:\\.|[^"\\])*"', '""', code)
    code = re.sub(r"'(?:\\.|[^'\\])'", "' '", code)
    opened: set[str] = set()
    outside: list[str] = []
    around: list[str | None] = []  # a namespace for each brace, or None where it is another's
    at = 0
    for brace in re.finditer(r"(?:\bnamespace\s+([\w:]+)?\s*)?\{|\}", code):
        if not around:
            outside.append(code[at : brace.start()])
        at = brace.end()
        if brace[0] == "}":
            around.pop()
        elif brace[0].startswith("namespace"):
            around.append(brace[1] or "")
            opened.add("::".join(part for part in around if part) or "(anonymous)")
        else:
            around.append(None)
    assert not around, "braces do not match"
    return opened, "".join([*outside, code[at:]])


def test_families_keep_apart() -> None:
    assert faults(sources()) == []


def test_kernels_for_gpus_look_for_their_code() -> None:
    """An op that is registered without ``register_on_gpus`` fails on a GPU without code for it."""
    registered = {n: t for n, t in sources().items() if "LIBRARY_IMPL(lelkern, CUDA" in t}
    assert len(registered) > 10
    assert [name for name, text in registered.items() if ".impl(" in text] == []


def test_every_family_has_its_namespace() -> None:
    texts = sources()
    families = {name.split("/")[0] for name in texts} - {SHARED}
    assert families >= {"contrastive", "ema"}
    for family in families:
        opened = [scan(text)[0] for name, text in texts.items() if name.startswith(f"{family}/")]
        assert {f"lelkern::{family}", f"lelkern::{family}::cuda"} <= set().union(*opened)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("mixup/mixup.h", "", "not in <family>/{common,cpu,cuda}/"),
        (
            "ema/cpu/rows.h",
            "#pragma once\nnamespace lelkern { class Rows; }",
            "opens namespace lelkern",
        ),
        (
            "ema/cuda/rows.cuh",
            "#pragma once\nnamespace lelkern {\nnamespace contrastive { struct Side {}; }\n}",
            "opens namespace lelkern::contrastive",
        ),
        (
            "ema/cpu/rows.cpp",
            "namespace lelkern::ema::cuda {}",
            "opens namespace lelkern::ema::cuda",
        ),
        ("ema/cpu/rows.cpp", "namespace { int one; }", "opens namespace (anonymous)"),
        ("shared/cpu/rows.cpp", "namespace lelkern::ema {}", "opens namespace lelkern::ema"),
        (
            "ema/cpu/rows.h",
            "#pragma once\nstruct Rows {};\nnamespace lelkern::ema {}",
            "defines outside of a namespace: struct Rows",
        ),
        (
            "ema/cpu/rows.cpp",
            '#include "contrastive/cpu/rows.h"',
            "includes contrastive/cpu/rows.h of another family",
        ),
        (
            "shared/cpu/rows.cpp",
            '#include "ema/common/ema_pair.h"',
            "includes ema/common/ema_pair.h of another family",
        ),
        ("ema/common/rows.h", '#pragma once\n#include "ema/cpu/ema.h"', "for another device"),
        ("ema/cuda/rows.cpp", '#include "shared/cpu/cpu_isa.h"', "for another device"),
        ("ema/cpu/rows.cpp", '#include "ema.h"', "includes ema.h, which is not in csrc"),
        (
            "ema/cpu/rows.cpp",
            '#include "shared/cpu/simd.h"',
            "includes shared/cpu/simd.h outside of the namespace of an instruction set",
        ),
        (
            "ema/cpu/rows.cpp",
            '#define LELKERN_ISA_FAMILY contrastive\n#include "shared/cpu/foreach_isa.h"',
            "compiles for the instruction sets of contrastive",
        ),
    ],
)
def test_what_breaks_the_rules_is_found(name: str, text: str, fault: str) -> None:
    texts = sources()
    assert name not in texts
    found = faults({**texts, name: text})
    assert any(name in line and fault in line for line in found), found
