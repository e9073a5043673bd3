# For a layer of your own: recipes-support/gemlet/gemlet_0.1.0.bb.  Say where the sources are in GEMLET_URI and which commit in SRCREV
# (a local.conf or a .bbappend may), as this file can't know your mirror.
SUMMARY = "Gemma vision-language models on ARM boards, in fixed memory"
DESCRIPTION = "A C11 static library and a program that answer prompts and questions about pictures, sounds and cameras with a packed Gemma-class model, in memory that is planned before it starts."
HOMEPAGE = "https://example.invalid/gemlet"
BUGTRACKER = "https://example.invalid/gemlet/issues"
SECTION = "libs/multimedia"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

GEMLET_URI ?= "git://example.invalid/gemlet.git;protocol=https;branch=main"
SRC_URI = "${GEMLET_URI}"
SRCREV ?= "INVALID"

S = "${UNPACKDIR}/git"

inherit bash-completion cmake pkgconfig

PACKAGECONFIG ??= "jpeg png webp sound"
PACKAGECONFIG[jpeg] = "-DCMAKE_DISABLE_FIND_PACKAGE_JPEG=OFF,-DCMAKE_DISABLE_FIND_PACKAGE_JPEG=ON,jpeg"
PACKAGECONFIG[png] = "-DCMAKE_DISABLE_FIND_PACKAGE_PNG=OFF,-DCMAKE_DISABLE_FIND_PACKAGE_PNG=ON,libpng"
PACKAGECONFIG[webp] = "-DCMAKE_DISABLE_FIND_PACKAGE_WEBP=OFF,-DCMAKE_DISABLE_FIND_PACKAGE_WEBP=ON,libwebp"
PACKAGECONFIG[sound] = "-DCMAKE_DISABLE_FIND_PACKAGE_SNDFILE=OFF -DCMAKE_DISABLE_FIND_PACKAGE_SAMPLERATE=OFF,-DCMAKE_DISABLE_FIND_PACKAGE_SNDFILE=ON -DCMAKE_DISABLE_FIND_PACKAGE_SAMPLERATE=ON,libsndfile1 libsamplerate0"
PACKAGECONFIG[serve] = "-DCMAKE_DISABLE_FIND_PACKAGE_MICROHTTPD=OFF,-DCMAKE_DISABLE_FIND_PACKAGE_MICROHTTPD=ON,libmicrohttpd cjson"

# Tests run where the project is developed; the packer runs on a PC and is built where cJSON is.
EXTRA_OECMAKE = "-DGEMLET_TESTS=OFF"

COMPATIBLE_HOST = "aarch64.*-linux"

CVE_PRODUCT = "gemlet"

BBCLASSEXTEND = "native nativesdk"
