#!/usr/bin/env bash
# cppcheck over the library, the ports and the programs.  An exception stands in the source, as a comment with its reason, but for:
#   knownConditionTrueFalse  in core/neon: 2.10 loses what bounds a loop's counter among the vector types it does not know
#   arrayIndexOutOfBounds    in core/neon/matrix_neon.h: 2.10 reads macros' "if (3 < 3)" as if it could be
set -euo pipefail
options=(--std=c11 --enable=warning,style,performance,portability --inline-suppr --quiet -j 2 -I . -I include --error-exitcode=1
    --suppress=missingIncludeSystem '--suppress=knownConditionTrueFalse:core/neon/*'
    '--suppress=arrayIndexOutOfBounds:core/neon/matrix_neon.h'
    "--template={file}:{line}: {severity} [{id}] {message}")
cppcheck "${options[@]}" core model port examples
