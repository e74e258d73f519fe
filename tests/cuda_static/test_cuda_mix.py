"""What is counted on the path of some work, for kernels of which it is known."""

from collections import Counter
from pathlib import Path

import cuda_flow
import cuda_mix
import pytest
from cuda_compile import ARCHITECTURES, compile_all
from cuda_flow import Flow, Instruction
from cuda_path import Need, NoWalkError, counts

# An outer loop around an inner one; its body goes on by a short way or by one that stores.
LISTING = """
//--------------------- .text.nested --------------------------
        /*0000*/                   MOV R1, c[0x0][0x28] ;
.L_outer:
        /*0010*/                   LDS.128 R4, [R0] ;
        /*0014*/               @P5 BRA `(.L_after) ;
        /*0018*/                   MOV R2, RZ ;
.L_inner:
        /*0020*/                   HMMA.16816.F32 R8, R4, R6, R8 ;
        /*0030*/                   IADD3 R2, R2, 0x1, RZ ;
        /*0040*/              @!P0 BRA `(.L_inner) ;
.L_after:
        /*0050*/               @P1 BRA `(.L_short) ;
        /*0060*/                   STG.E [R2.64], R8 ;
        /*0070*/                   MUFU.EX2 R8, R8 ;
        /*0080*/                   MUFU.EX2 R8, R8 ;
        /*0090*/                   BRA `(.L_end) ;
.L_short:
        /*00a0*/                   MUFU.EX2 R8, R8 ;
        /*00a8*/               @P6 BRA `(.L_end) ;
        /*00b0*/               @P2 LDGSTS.E.128 [R2], [R4.64] ;
.L_end:
        /*00c0*/                   ISETP.NE.AND P3, PT, R2, R3, PT ;
        /*00d0*/               @P4 CALL.REL.NOINC `($slow) ;
        /*00e0*/               @P3 BRA `(.L_outer) ;
        /*00f0*/                   EXIT ;
.L_stop:
        /*0100*/                   BRA `(.L_stop);
$slow:
        /*0110*/                   RET.REL.NODEC R20 `(nested);
"""


@pytest.fixture
def nested() -> Flow:
    return cuda_flow.flow(cuda_flow.sections(LISTING)["nested"])


def executed(flow: Flow, *needs: Need, whole: bool = False) -> Counter[str]:
    found = Counter[str]()
    for block, times in counts(flow, needs, whole).items():
        for instruction in flow.blocks[block]:
            found[instruction.name] += times
    return found


def need(code: str, least: int, most: int | None = None, **of: int) -> Need:
    return Need((code,), least, least if most is None else most, **of)


def test_loops_are_found(nested: Flow) -> None:
    sizes = [(loop.depth, len(loop.blocks)) for loop in nested.loops]
    assert sorted(sizes) == [(1, 1), (1, 9), (2, 1)]


def test_the_shortest_path_that_does_the_work_is_counted(nested: Flow) -> None:
    found = executed(nested, need("HMMA", 3), need("MUFU.EX2", 1))
    assert found == {
        **{"LDS": 1, "MOV": 1, "HMMA": 3, "IADD3": 3, "BRA": 1 + 3 + 1 + 1 + 1},
        **{"MUFU": 1, "ISETP": 1, "CALL": 1},
    }
    found = executed(nested, need("HMMA", 3), need("STG", 1))
    assert (found["STG"], found["MUFU"], found["LDGSTS"]) == (1, 2, 0)
    found = executed(nested, need("HMMA", 4), need("MUFU.EX2", 2), need("STG", 0))
    assert (found["LDS"], found["LDGSTS"]) == (2, 0)


def test_guarded_instructions_may_be_meant_or_not(nested: Flow) -> None:
    for number in (0, 1):
        found = executed(nested, need("HMMA", 2), need("LDGSTS", number), need("MUFU.EX2", 1))
        assert found["LDGSTS"] == 1
    with pytest.raises(NoWalkError, match=r"without one of.*LDGSTS"):
        executed(nested, need("HMMA", 1), need("LDGSTS", 2), need("LDS", 1))


def test_the_walk_hangs_together(nested: Flow) -> None:
    # The shortest round of the outer loop goes past it, and it would go round by itself.
    assert executed(nested, need("HMMA", 9), need("ISETP", 1))["MOV"] == 1
    assert executed(nested, need("HMMA", 9))["LDS"] == 0


def test_rounds_are_counted_for_each_time_that_a_loop_is_entered(nested: Flow) -> None:
    inner = need("HMMA", 6, depth=2, each=3)
    assert executed(nested, inner, need("MUFU.EX2", 0, 9))["LDS"] == 2
    with pytest.raises(NoWalkError):
        executed(nested, need("HMMA", 5, depth=2, each=3))


def test_a_whole_life_is_from_the_beginning_to_the_end(nested: Flow) -> None:
    found = executed(nested, need("HMMA", 1), whole=True)
    assert (found["MOV"], found["EXIT"], found["LDS"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("guard", "code", "operands", "expected"),
    [
        ("", "HMMA.16816.F32.BF16", "R4, R8, R12, R4", "tensor"),
        ("", "IMAD.MOV.U32", "R1, RZ, RZ, R2", "move"),
        ("", "IMAD.WIDE", "R2, R3, 0x4, R4", "integer"),
        ("", "HFMA2", "R1, -RZ, RZ, 0, 0", "move"),
        ("", "UIADD3", "UR4, UR4, 0x1, URZ", "integer"),
        ("!PT", "LDS", "RZ, [RZ]", "other"),
        ("P0", "LDGSTS.E.BYPASS.128", "[R2], [R4.64]", "global"),
    ],
)
def test_classes(guard: str, code: str, operands: str, expected: str) -> None:
    assert cuda_mix.class_of(Instruction(guard, code, operands)) == expected


@pytest.mark.parametrize(
    ("guard", "code", "pipe"),
    [
        ("", "FFMA", "fma"),
        ("", "IMAD.MOV.U32", "fma"),
        ("P0", "FMNMX", "alu"),
        ("", "LOP3.LUT", "alu"),
        ("!PT", "IMAD", None),
        ("", "UIADD3", None),
        ("", "MUFU.EX2", None),
    ],
)
def test_pipelines(guard: str, code: str, pipe: str | None) -> None:
    assert cuda_mix.pipe_of(Instruction(guard, code, "R0, R1, R2, R3")) == pipe


@pytest.mark.parametrize(
    ("code", "size"),
    [
        ("LDS", 4),
        ("LDS.U16", 2),
        ("LDG.E.128.CONSTANT", 16),
        ("LDG.E.ENL2.256", 32),
        ("LDGSTS.E.BYPASS.128", 16),
        ("LDSM.16.M88", 4),
        ("LDSM.16.MT88.4", 16),
        ("REDG.E.ADD.64.STRONG.GPU", 8),
        ("STG.E.U8", 1),
    ],
)
def test_sizes(code: str, size: int) -> None:
    assert cuda_mix.size_of(Instruction("", code, "R0, [R2]")) == size


def moved(flow: Flow, *needs: Need, **sizes: float) -> tuple[float, float]:
    told = [(need(code.replace("_", "."), 0), size) for code, size in sizes.items()]
    row = cuda_mix.mix("k", "sm_80", flow, cuda_mix.Work(["k"], "round", 1, [*needs], told))
    return row.shared_bytes, row.global_bytes


def test_bytes_are_of_codes_or_as_work_says(nested: Flow) -> None:
    needs = need("HMMA", 3), need("STG", 1)
    assert moved(nested, *needs) == (16, 4)
    assert moved(nested, *needs, LDS=2, LDS_128=6, STG=1) == (6, 1)
    work = cuda_mix.Work(
        ["k"],
        "round",
        1,
        [*needs],
        [(need("LDS.128", 0, depth=2), 1), (need("HMMA", 0, depth=2), 1)],
    )
    assert cuda_mix.mix("k", "sm_80", nested, work).shared_bytes == 16


def test_parts_of_one_work_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    products = cuda_mix.Work(["k"], "round", 2, [need("HMMA", 4), need("MUFU.EX2", 1)], [])
    stores = cuda_mix.Work(["k"], "round", 1, [need("STG", 1), need("HMMA", 1)], [])
    other = stores._replace(unit="store")
    monkeypatch.setattr(cuda_mix, "work_of", lambda kernel: [products, stores, other])
    rounds, alone = cuda_mix.mixes(LISTING, "sm_80", {"nested": "k"})
    assert (rounds.unit, rounds.tensor, rounds.special) == ("round", 2 + 1, 0.5 + 2)
    assert (alone.unit, alone.tensor, alone.special) == ("store", 1, 2)
    assert (rounds.global_, rounds.shared_bytes) == (1, 8 + 16)


def test_what_is_guarded_moves_what_the_work_has(nested: Flow) -> None:
    needs = need("HMMA", 2), need("MUFU.EX2", 1)
    assert moved(nested, *needs, need("LDGSTS", 1)) == (16 + 16, 16)
    assert moved(nested, *needs, need("LDGSTS", 0)) == (16, 0)


@pytest.mark.slow
def test_a_compiled_loop_is_counted(tmp_path: Path) -> None:
    compiled = compile_all([Path(__file__).with_name("toy_kernels.cu")], tmp_path)
    needs = [need("HMMA", 4), need("MUFU.EX2", 1), need("BAR", 1)]
    assert {each.architecture for each in compiled} == set(ARCHITECTURES)
    for each in compiled:
        (text,) = (t for n, t in cuda_flow.sections(each.assembly).items() if "rounds" in n)
        found = executed(cuda_flow.flow(text), *needs)
        # The round that stores is a longer way.
        assert (found["HMMA"], found["MUFU"], found["BAR"], found["STG"]) == (4, 1, 1, 0), each
        row = cuda_mix.mix(
            "rounds",
            each.architecture,
            cuda_flow.flow(text),
            cuda_mix.Work(["rounds"], "round", 2, needs, []),
        )
        # Each round reads how many its inner ones are.
        assert (row.tensor, row.special, row.fp64, row.global_) == (2, 0.5, 0, 0.5)
        assert row.sum == found.total() / 2
        assert (row.shared_bytes, row.global_bytes) == (0, 2)
