/* The page at "/", as the build embeds it (cmake/embed.cmake). */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_PAGE_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_PAGE_H

#include <stddef.h>

extern const unsigned char page_html[];
extern const size_t page_html_bytes;

#endif
