/* The coefficients that the scalar and NEON forms of exp, tanh and GELU share. Internal to core.
 *
 * All were fitted for least greatest error with each coefficient in turn rounded to float32 and the others fitted again. */
#ifndef GEMLET_CORE_REAL_POLYNOMIALS_H
#define GEMLET_CORE_REAL_POLYNOMIALS_H

/* 2^f - 1 = f * q(f) for |f| <= 0.5; 1 + f q(f) has a relative error of 1.1e-7, f q(f) one of 6.8e-7. */
#define GEMLET_EXP_0 0x1.62e430p-1f
#define GEMLET_EXP_1 0x1.ebf9f2p-3f
#define GEMLET_EXP_2 0x1.c6b3a8p-5f
#define GEMLET_EXP_3 0x1.3cdafep-7f
#define GEMLET_EXP_4 0x1.5ca932p-10f

/* 32,512 * 2^f for |f| <= 0.5, exact for 0, with a relative error of 1.1e-4: what softmax_block's steps of 1 / 254 can show. */
#define GEMLET_UNITS_0 32512.0f
#define GEMLET_UNITS_1 0x1.60300ep+14f
#define GEMLET_UNITS_2 0x1.ec2c38p+12f
#define GEMLET_UNITS_3 0x1.bf1cd8p+10f

/* Adding this to |v| < 2^22 leaves round(v) + 127, the exponent field of 2^round(v), in the lowest bits. */
#define GEMLET_EXP_ROUND (12582912.0f + 127.0f)
#define GEMLET_EXP_LOWEST (-127.0f) /* 2^-127 counts as 0: the exponent field is 0 */

/* p(c)^16 = 1 + exp(2 sqrt(2 / pi) (c + 0.044715 c^3)) for c >= 0, so that c / p(c)^16 is off by at most 4.6e-7.
 * It overflows to infinity from c = 14.25 on, as it should. */
#define GEMLET_GELU_0 0x1.0b5586p+0f
#define GEMLET_GELU_1 0x1.aaaea4p-5f
#define GEMLET_GELU_2 0x1.68af70p-6f
#define GEMLET_GELU_3 0x1.cc6b64p-9f
#define GEMLET_GELU_4 (-0x1.d8d57ep-14f)
#define GEMLET_GELU_5 0x1.4ffefcp-14f
#define GEMLET_GELU_6 0x1.9684eap-16f
#define GEMLET_GELU_LARGEST 64.0f

#endif
