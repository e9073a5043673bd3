/* The compiler's own <limits.h> asks for a C library's behind it; there is none. */
