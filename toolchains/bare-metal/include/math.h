/* All of <math.h> that the library may use; libm of any C library has it.  fabsf, sqrtf, fmaf, rintf and their like are single
 * instructions on AArch64. */
#ifndef GEMLET_BARE_METAL_MATH_H
#define GEMLET_BARE_METAL_MATH_H

#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define HUGE_VALF __builtin_huge_valf()
#define isfinite(x) __builtin_isfinite(x)
#define isinf(x) __builtin_isinf(x)
#define isnan(x) __builtin_isnan(x)
#define signbit(x) __builtin_signbit(x)

float ceilf(float x);
float copysignf(float x, float sign);
float cosf(float x);
float exp2f(float x);
float expf(float x);
float fabsf(float x);
float floorf(float x);
float fmaf(float x, float y, float z);
float fmaxf(float x, float y);
float fminf(float x, float y);
float ldexpf(float x, int exponent);
float log2f(float x);
float logf(float x);
float nearbyintf(float x);
float powf(float x, float y);
float rintf(float x);
float roundf(float x);
float sinf(float x);
float sqrtf(float x);
float tanhf(float x);
float truncf(float x);
long lrintf(float x);

double ceil(double x);
double cos(double x);
double erfc(double x);
double exp(double x);
double fabs(double x);
double floor(double x);
double fma(double x, double y, double z);
double fmax(double x, double y);
double fmin(double x, double y);
double log(double x);
double nearbyint(double x);
double pow(double x, double y);
double rint(double x);
double round(double x);
double sin(double x);
double sqrt(double x);
double tanh(double x);

#endif
