"""The memory that building a CSR matrix takes."""

from pathlib import Path

import pytest

from tests.scripts import result_of

SCRIPT = Path(__file__).parent / "measure_csr.py"


DTYPES = ("int64", "int32")


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, int]]:
    return result_of(SCRIPT, *DTYPES)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.parametrize("index_dtype", DTYPES)
def test_csr_takes_at_most_three_times_the_result(index_dtype, measured):
    memory = measured[index_dtype]
    assert memory["entries"] == 16 * 32 * (3 * 64 - 2) ** 2
    assert memory["peak"] <= 3 * memory["result"]
