"""``python -m benchmarks``, from the root of the repository."""

from benchmarks.options import parse
from benchmarks.threads import fix_threads


def main() -> None:
    """Fix the number of threads before the libraries that read it from the environment are imported."""
    options = parse()
    threads = fix_threads(options.threads)

    from benchmarks.runner import run  # not before the threads are fixed

    run(options, threads)


if __name__ == "__main__":
    main()
