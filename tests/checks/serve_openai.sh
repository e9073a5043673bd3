#!/usr/bin/env bash
# usage: serve_openai.sh BUILD_DIRECTORY GEMLET GEMLET_PACK
# The official Python client of OpenAI against `gemlet serve`.  It is installed into a virtual environment of the build folder, or taken
# from $OPENAI_PYTHON; where neither can be, the test is skipped (77).
set -euo pipefail
build=$1 gemlet=$2 packer=$3
python=${OPENAI_PYTHON:-$build/openai/bin/python}
if ! "$python" -c 'import openai' 2>/dev/null; then
    { python3 -m venv "$build/openai" && "$build/openai/bin/python" -m pip install -q -r tests/serve/requirements.txt; } >"$build/openai.log" 2>&1 || {
        echo "skipped: the client can't be installed: $(tail -n 1 "$build/openai.log")"
        exit 77
    }
    python=$build/openai/bin/python
fi
"$python" tests/serve/openai_client.py "$gemlet" "$packer"
