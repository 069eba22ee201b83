"""The memory that building a CSR matrix takes."""

from pathlib import Path

import pytest

from tests.scripts import result_of

SCRIPT = Path(__file__).parent / "measure_csr.py"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.parametrize("index_dtype", ["int64", "int32"])
def test_csr_takes_at_most_three_times_the_result(index_dtype):
    measured = result_of(SCRIPT, index_dtype)
    assert measured["entries"] == 16 * 32 * (3 * 64 - 2) ** 2
    assert measured["peak"] <= 3 * measured["result"]
