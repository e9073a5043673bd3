/* Whether this build is sanitized: then everything takes ten times as long, and emulated NEON hours. */
#ifndef GEMLET_TESTS_SUPPORT_SANITIZED_H
#define GEMLET_TESTS_SUPPORT_SANITIZED_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GEMLET_ADDRESS_SANITIZED
#endif
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GEMLET_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define GEMLET_ADDRESS_SANITIZED
#define GEMLET_SANITIZED
#endif

#ifdef GEMLET_SANITIZED
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

#endif
