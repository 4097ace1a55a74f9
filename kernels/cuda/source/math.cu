/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pointwise operators. E is float, double or an integer type; comparisons are turned so that
 * not-a-number passes through as it does on the CPU. */

typedef unsigned long long u64;
typedef long long i64;

#define UNARY(NAME) template <class E> INLINE E op_##NAME(E x)
#define UNARY_A(NAME) template <class E> INLINE E op_##NAME(E x, E a)
#define UNARY_AB(NAME) template <class E> INLINE E op_##NAME(E x, E a, E b)
#define BINARY(NAME) template <class E> INLINE E op_##NAME(E x, E y)
#define COMPARE(NAME) template <class E> INLINE unsigned char op_##NAME(E x, E y)
#define REAL_FUNCTION(NAME, FUNCTION)                                                              \
  INLINE float op_##NAME(float x)                                                                  \
  {                                                                                                \
    return FUNCTION##f(x);                                                                         \
  }                                                                                                \
  INLINE double op_##NAME(double x)                                                                \
  {                                                                                                \
    return FUNCTION(x);                                                                            \
  }

INLINE double op_Exp(double x)
{
  return exp(x);
}
INLINE double op_Tanh(double x)
{
  return tanh(x);
}
INLINE double op_Reciprocal(double x)
{
  return 1.0 / x;
}
INLINE double quotient(double x, double y)
{
  return x / y;
}

#if defined(FAST) && !defined(EMULATED)
INLINE float op_Exp(float x)
{
  return __expf(x);
}
INLINE float op_Tanh(float x)
{
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
INLINE float op_Reciprocal(float x)
{
  return __frcp_rn(x);
}
/* Not __fdividef(), which gives 0 for divisors beyond 2^126. */
INLINE float quotient(float x, float y)
{
  float r;
  asm("rcp.approx.f32 %0, %1;" : "=f"(r) : "f"(y));
  return x * r;
}
#else
INLINE float op_Exp(float x)
{
  return expf(x);
}
INLINE float op_Tanh(float x)
{
  return tanhf(x);
}
INLINE float op_Reciprocal(float x)
{
  return 1.0f / x;
}
INLINE float quotient(float x, float y)
{
  return x / y;
}
#endif

REAL_FUNCTION(Log, log)
REAL_FUNCTION(Sqrt, sqrt)
REAL_FUNCTION(Floor, floor)
REAL_FUNCTION(Ceil, ceil)
REAL_FUNCTION(Round, rint)
REAL_FUNCTION(Sin, sin)
REAL_FUNCTION(Cos, cos)
REAL_FUNCTION(Tan, tan)
REAL_FUNCTION(Asin, asin)
REAL_FUNCTION(Acos, acos)
REAL_FUNCTION(Atan, atan)
REAL_FUNCTION(Sinh, sinh)
REAL_FUNCTION(Cosh, cosh)
REAL_FUNCTION(Asinh, asinh)
REAL_FUNCTION(Acosh, acosh)
REAL_FUNCTION(Atanh, atanh)
REAL_FUNCTION(Erf, erf)
REAL_FUNCTION(expm1, expm1)
REAL_FUNCTION(log1p, log1p)
REAL_FUNCTION(fabs, fabs)

UNARY(Abs)
{
  if constexpr (Real<E>::yes)
    return op_fabs(x);
  else
    return x < 0 ? (E)(0 - (u64)x) : x;
}
UNARY(Neg)
{
  if constexpr (Real<E>::yes)
    return -x;
  else
    return (E)(0 - (u64)x);
}
UNARY(Sign)
{
  return x != x ? x : x > 0 ? (E)1 : x < 0 ? (E)-1 : (E)0;
}
UNARY(Relu)
{
  return x < 0 ? (E)0 : x;
}
UNARY(BitwiseNot)
{
  return (E)~x;
}
UNARY(Sigmoid)
{
  return quotient((E)1, (E)1 + op_Exp(-x));
}
UNARY(Softplus)
{
  E y = (x > 0 ? x : (E)0) + op_log1p(op_Exp(-op_fabs(x)));
  return x != x ? x : y;
}
/* tanh(log(1 + e^x)) = ((1 + e^x)^2 - 1) / ((1 + e^x)^2 + 1), which for large x is 1. */
UNARY(Mish)
{
#ifdef FAST
  E e = op_Exp(x < 20 ? x : (E)20);
  E n = e * (e + 2);
  return x * quotient(n, n + 2);
#else
  return x != x ? x : x * op_Tanh(op_Softplus(x));
#endif
}
UNARY(Softsign)
{
  return quotient(x, (E)1 + op_fabs(x));
}
template <class E> INLINE E ramp(E x)
{
  return x < 0 ? (E)0 : x > 1 ? (E)1 : x;
}
UNARY(HardSwish)
{
#ifdef FAST
  return x * ramp(x * (E)(1.0 / 6.0) + (E)0.5);
#else
  return x * ramp(x / 6 + (E)0.5);
#endif
}
UNARY_AB(HardSigmoid)
{
  return ramp(a * x + b);
}
UNARY_A(LeakyRelu)
{
  return x < 0 ? a * x : x;
}
UNARY_A(Elu)
{
  return x < 0 ? a * op_expm1(x) : x;
}
UNARY_AB(Selu)
{
  return b * (x < 0 ? a * op_expm1(x) : x);
}
UNARY_A(Celu)
{
  return x < 0 ? a * op_expm1(x / a) : x;
}
UNARY_A(ThresholdedRelu)
{
  return x <= a ? (E)0 : x;
}
UNARY_A(Swish)
{
#ifdef FAST
  /* One special function in place of two, whose unit would be the limit; 1e-5 off. */
  E half = (E)0.5 * x;
  return half * op_Tanh(a * half) + half;
#else
  return x * op_Sigmoid(a * x);
#endif
}
UNARY_AB(Shrink)
{
  return x < -b ? x + a : x > b ? x - a : x != x ? x : (E)0;
}
UNARY_A(Binarizer)
{
  return x > a ? (E)1 : (E)0;
}
UNARY(GeluErf)
{
  return x * (E)0.5 * ((E)1 + op_Erf(x * (E)0.70710678118654752440));
}
UNARY(GeluTanh)
{
  return x * (E)0.5 *
         ((E)1 + op_Tanh((E)0.79788456080286535588 * (x + (E)0.044715 * x * x * x)));
}

template <class E> INLINE unsigned char op_IsNaN(E x)
{
  return x != x;
}
template <class E> INLINE unsigned char op_IsInf(E x, E negative, E positive)
{
  bool infinite = x == x && x - x != x - x;
  return infinite && (x < 0 ? negative != 0 : positive != 0);
}
template <class E> INLINE unsigned char op_Not(E x)
{
  return !x;
}

BINARY(Add)
{
  if constexpr (Real<E>::yes)
    return x + y;
  else
    return (E)((u64)x + (u64)y);
}
BINARY(Sub)
{
  if constexpr (Real<E>::yes)
    return x - y;
  else
    return (E)((u64)x - (u64)y);
}
BINARY(Mul)
{
  if constexpr (Real<E>::yes)
    return x * y;
  else
    return (E)((u64)x * (u64)y);
}
BINARY(Div)
{
  if constexpr (Real<E>::yes)
    return quotient(x, y);
  else if constexpr ((E)-1 < (E)0)
    return y == 0 ? (E)0 : y == (E)-1 ? (E)(0 - (u64)x) : (E)(x / y);
  else
    return y == 0 ? (E)0 : (E)(x / y);
}
/* Not-a-number wins. */
BINARY(Max)
{
  return x > y || x != x ? x : y;
}
BINARY(Min)
{
  return x < y || x != x ? x : y;
}
BINARY(PRelu)
{
  if constexpr (Real<E>::yes)
    return x < 0 ? x * y : x;
  else
    return x < 0 ? (E)((u64)x * (u64)y) : x;
}
/* The remainder with the dividend's sign, and with the divisor's. */
BINARY(FMod)
{
  if constexpr (Same<E, float>::yes)
    return fmodf(x, y);
  else if constexpr (Same<E, double>::yes)
    return fmod(x, y);
  else
    return y == 0 || (y < 0 && y == (E)-1) ? (E)0 : (E)(x % y);
}
BINARY(Mod)
{
  E rest = op_FMod(x, y);
  if constexpr (Real<E>::yes)
    if (rest == 0)
      return (E)copysign(0.0, (double)y);
  return rest != 0 && (rest < 0) != (y < 0) ? (E)(rest + y) : rest;
}

COMPARE(Equal)
{
  return x == y;
}
COMPARE(EqualBool)
{
  return !x == !y;
}
COMPARE(Greater)
{
  return x > y;
}
COMPARE(GreaterOrEqual)
{
  return x >= y;
}
COMPARE(Less)
{
  return x < y;
}
COMPARE(LessOrEqual)
{
  return x <= y;
}
COMPARE(And)
{
  return x && y;
}
COMPARE(Or)
{
  return x || y;
}
COMPARE(Xor)
{
  return !x != !y;
}
BINARY(BitwiseAnd)
{
  return (E)(x & y);
}
BINARY(BitwiseOr)
{
  return (E)(x | y);
}
BINARY(BitwiseXor)
{
  return (E)(x ^ y);
}
BINARY(ShiftLeft)
{
  return (u64)y >= sizeof(E) * 8 ? (E)0 : (E)((u64)x << (u64)y);
}
BINARY(ShiftRight)
{
  return (u64)y >= sizeof(E) * 8 ? (E)0 : (E)((u64)x >> (u64)y);
}

INLINE i64 integer_power(i64 base, i64 exponent)
{
  u64 result = 1, factor = (u64)base;
  if (exponent < 0)
    return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  for (u64 left = (u64)exponent; left; left >>= 1) {
    if (left & 1)
      result *= factor;
    factor *= factor;
  }
  return (i64)result;
}

/* A whole power of a float, as networks have them; the constant is known when it is compiled. */
INLINE float power(float x, float y)
{
  if (y == 2.0f)
    return x * x;
  if (y == 3.0f)
    return x * x * x;
  if (y == 1.0f)
    return x;
  return powf(x, y);
}

INLINE i64 to_i64(double v, double low, double high, i64 least, i64 most)
{
  return v != v ? 0 : v <= low ? least : v >= high ? most : (i64)v;
}

INLINE u64 to_u64(double v, double high, u64 most)
{
  return v != v || v <= 0 ? 0 : v >= high ? most : (u64)v;
}

/* Floats saturate, integers drop their high bits. */
template <class D, class S> INLINE D cast_to(S x)
{
  if constexpr (!Real<S>::yes || Real<D>::yes)
    return (D)x;
  else if constexpr ((D)-1 < (D)0) {
    constexpr i64 most = (i64)(((u64)1 << (sizeof(D) * 8 - 1)) - 1), least = -most - 1;
    return (D)to_i64((double)x, (double)least, (double)most, least, most);
  } else {
    constexpr u64 most = ~(u64)0 >> (64 - sizeof(D) * 8);
    return (D)to_u64((double)x, (double)most, most);
  }
}
template <class S> INLINE unsigned char cast_bool(S x)
{
  return x != 0;
}
template <class S> INLINE float cast_half(S x)
{
  return half_to_float(float_to_half((float)x));
}
template <class S> INLINE float cast_bf16(S x)
{
  return bf16_to_float(float_to_bf16((float)x));
}

template <class E, class F> INLINE E op_Pow(E x, F y)
{
  if constexpr (Same<E, float>::yes && Same<F, float>::yes)
    return power(x, y);
  else if constexpr (!Real<E>::yes && !Real<F>::yes)
    return (E)integer_power((i64)x, (i64)y);
  else
    return cast_to<E>(pow((double)x, (double)y));
}

template <class E> INLINE E clip_low(E x, E low)
{
  return x < low ? low : x;
}
template <class E> INLINE E clip_high(E x, E high)
{
  return x > high ? high : x;
}
