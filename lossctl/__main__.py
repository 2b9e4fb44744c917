"""`python -m lossctl` and the `lossctl` command."""


def main() -> None:
    raise SystemExit(70)


if __name__ == "__main__":
    main()
