# To be sourced. Sets $venv to the project's virtual environment, and creates or updates it first if necessary.
#   extras   the extras to install, for example "[test]"; none by default
venv="${BATCH_SCORER_VENV:-$here/.venv}"
extras="${extras:-}"
stamp="$venv/.installed$extras"
if [ ! -e "$stamp" ] || [ "$here/setup.py" -nt "$stamp" ] || [ "$here/constraints.txt" -nt "$stamp" ]; then
    python=$(command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "error: expected Python 3.11 or newer, got $("$python" --version)" >&2
        exit 2
    fi
    echo "installing into $venv (2.5 GB, or 4.5 GB with the packages for the tests; takes a few minutes, once)" >&2
    "$python" -m venv "$venv"
    pip=("$venv/bin/python" -m pip --disable-pip-version-check)
    packages=(--constraint "$here/constraints.txt" --editable "$here$extras")
    # uv installs in a quarter of the time. It does not read pip's configuration: where packages come from a mirror that
    # only pip knows, pip does it.
    if ! { "${pip[@]}" install -qq uv && "$venv/bin/uv" pip install -q --native-tls --python "$venv/bin/python" "${packages[@]}"; }
    then
        echo "uv could not install: trying pip" >&2
        "${pip[@]}" install -qq "${packages[@]}"
    fi
    touch "$stamp"
fi
