# cmake -DINPUT=FILE -DNAME=NAME -DHEADER=HEADER -DOUTPUT=FILE.c -P embed.cmake: the bytes of a file as a C array, NAME and NAME_bytes.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n    " lines "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," lines "${lines}")
file(WRITE ${OUTPUT} "#include \"${HEADER}\"\n\nconst unsigned char ${NAME}[] = {\n    ${lines}\n};\nconst size_t ${NAME}_bytes = sizeof ${NAME};\n")
