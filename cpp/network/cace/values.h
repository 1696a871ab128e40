// Arithmetic over a value V: a number, which is a thread of a GPU, or a vector of numbers, which is a core of a CPU. No headers of the
// standard library but <cmath>, so that a compiler at run time takes this file too, and so that no function of it is left in an object
// file made for another instruction set.
#pragma once

#ifdef __CUDACC__
#define LES_FN __device__ __forceinline__
#define LES_CONST __host__ __device__ constexpr
#define LES_INLINE
#define LES_UNROLL _Pragma("unroll")
#else
#include <cmath>
#define LES_FN inline __attribute__((always_inline))
#define LES_CONST constexpr
#define LES_INLINE __attribute__((always_inline))
#define LES_UNROLL _Pragma("GCC unroll 32")
#endif

namespace les::cace {

// The numbers of a vector
template <class V> struct NumberOf {
  using type = decltype(V{}[0] + V{}[0]);
};
template <> struct NumberOf<float> {
  using type = float;
};
template <> struct NumberOf<double> {
  using type = double;
};
template <class V> using Number = typename NumberOf<V>::type;
template <class V> constexpr bool in_float = sizeof(Number<V>) == 4;
template <class V> constexpr int lanes = sizeof(V) / sizeof(Number<V>);

template <class V> LES_FN V all(Number<V> x) { return V{} + x; }

// f of each number
template <class V, class F> LES_FN V each(V x, F f)
{
  if constexpr (lanes<V> == 1) {
    return f(x);
  } else {
    for (int i = 0; i < lanes<V>; i++) x[i] = f(x[i]);
    return x;
  }
}

template <class V> LES_FN V root(V x)
{
#ifdef __CUDACC__
  return sqrt(x);
#else
  return each(x, [](auto y) LES_INLINE { return std::sqrt(y); });
#endif
}

// Bits of a float, or of each float of a vector
template <class V> struct BitsOf {
  typedef int type __attribute__((vector_size(sizeof(V))));
};
template <> struct BitsOf<float> {
  using type = int;
};
template <class To, class From> LES_FN To as(From x)
{
  To out;
  __builtin_memcpy(&out, &x, sizeof out);
  return out;
}

constexpr float ROUND =
    12582912.f;    // 1.5 2^23: what it is added to is rounded to an integer, which the lowest bits hold

// a b + c, rounded once where the processor does that
template <class V> LES_FN V multiply_add(V a, V b, V c)
{
#ifdef __CUDACC__
  return fma(a, b, c);
#elif defined(__FMA__) || defined(__aarch64__)
  if constexpr (lanes<V> == 1) return std::fma(a, b, c);
  else {
    V out;
    for (int i = 0; i < lanes<V>; i++) out[i] = std::fma(a[i], b[i], c[i]);
    return out;
  }
#else
  return a * b + c;
#endif
}

// Sine and cosine of k (r + rest). In float to 1e-7 for angles below 1e4: less n pi, then minimax polynomials on half a turn.
template <class V> LES_FN void sine_and_cosine(V r, V rest, Number<V> k, V &sine, V &cosine)
{
  if constexpr (in_float<V>) {
    using Bits = typename BitsOf<V>::type;
    const V rounded = r * (k * 0.318309886f) + ROUND, n = rounded - ROUND;
    V y = multiply_add(r, all<V>(k),
                       n * -3.140625f);    // pi in three parts, of which the first two multiply n without rounding
    y = y - n * 9.67502593994140625e-4f;
    y = y - n * 1.509957990978376e-7f + rest * k;
    const V z = y * y;
    V s = z * -2.3846681e-8f + 2.7522618e-6f;
    s = s * z - 1.9840804e-4f;
    s = s * z + 8.3333305e-3f;
    s = s * z - 1.66666667e-1f;
    V c = z * -2.6077095e-7f + 2.4761886e-5f;
    c = c * z - 1.3888403e-3f;
    c = c * z + 4.1666641e-2f;
    c = c * z - 5.e-1f;
    const Bits odd = as<Bits>(rounded) << 31;    // the sign where n is odd
    sine = as<V>(as<Bits>(y + y * (z * s)) ^ odd);
    cosine = as<V>(as<Bits>(z * c + 1.f) ^ odd);
  } else {
    sine = each(k * r, [](double y) LES_INLINE { return sin(y); });
    cosine = each(k * r, [](double y) LES_INLINE { return cos(y); });
  }
}

// In float to 2e-7 of itself: 2^k times a polynomial; numbers beyond +-87 are taken for these.
template <class V> LES_FN V exponential(V x)
{
  if constexpr (in_float<V>) {
    using Bits = typename BitsOf<V>::type;
    x = x < -87.f ? all<V>(-87.f) : x;
    x = x > 87.f ? all<V>(87.f) : x;
    const V rounded = x * 1.44269504f + ROUND, k = rounded - ROUND;
    V y = x - k * 0.693359375f;    // log 2 in two parts
    y = y + k * 2.12194440e-4f;
    V p = y * 1.9875691e-4f + 1.3981999e-3f;
    p = p * y + 8.3334519e-3f;
    p = p * y + 4.1665796e-2f;
    p = p * y + 1.6666666e-1f;
    p = p * y + 5.0000001e-1f;
    const V power = as<V>((as<Bits>(rounded) + 127) << 23);
    return (p * (y * y) + y + 1.f) * power;
  } else {
    return each(x, [](double y) LES_INLINE { return exp(y); });
  }
}

template <class V> LES_FN V sigmoid(V x) { return Number<V>(1) / (Number<V>(1) + exponential(-x)); }
template <class V> LES_FN V silu(V x) { return x * sigmoid(x); }
template <class V> LES_FN V silu_slope(V x)
{
  const V gate = sigmoid(x);
  return gate * (Number<V>(1) + x * (Number<V>(1) - gate));
}

}    // namespace les::cace
