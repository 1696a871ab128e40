// The tables of lammps_les/models/cace/angular.py: multi-indices i = (x, y, z), which stand for monomials x^x y^y z^z of a unit vector in
// the order of `monomials`, and their weights C_i = |i|! / (x! y! z!).
//
// Loops over them are written once, over `Fixed<L, NU>`, which unrolls them and knows all numbers when it is compiled, or over
// `Any`, which looks them up.
#pragma once

#include "values.h"

namespace les::cace {

// A number that is known to the compiler
template <int N> struct Int {
  constexpr operator int() const { return N; }
};
template <int A, int B> LES_CONST Int<A + B> operator+(Int<A>, Int<B>) { return {}; }
template <int A, int B> LES_CONST Int<A - B> operator-(Int<A>, Int<B>) { return {}; }

struct MultiIndex {
  int at[3];
};
LES_CONST int count_below(int order) { return order * (order + 1) * (order + 2) / 6; }
LES_CONST int place_of(MultiIndex i)
{
  const int low = i.at[1] + i.at[2];
  return count_below(i.at[0] + low) + low * (low + 1) / 2 + i.at[2];
}
LES_CONST MultiIndex index_at(int place)
{
  int order = 0, low = 0;
  while (count_below(order + 1) <= place) order++;
  place -= count_below(order);
  while ((low + 1) * (low + 2) / 2 <= place) low++;
  place -= low * (low + 1) / 2;
  return {{order - low, low - place, place}};
}
LES_CONST int weight_at(int place)
{
  const MultiIndex i = index_at(place);
  int out = 1, n = 0;
  for (int a = 0; a < 3; a++)
    for (int j = 1; j <= i.at[a]; j++) out = out * ++n / j;    // a binomial coefficient at every step
  return out;
}
LES_CONST int place_of_sum(int i, int j)
{
  const MultiIndex a = index_at(i), b = index_at(j);
  return place_of({{a.at[0] + b.at[0], a.at[1] + b.at[1], a.at[2] + b.at[2]}});
}
// The first axis that is part of it, -1 of (0, 0, 0)
LES_CONST int axis_of(int place)
{
  const MultiIndex i = index_at(place);
  return i.at[0] > 0 ? 0 : i.at[1] > 0 ? 1 : i.at[2] > 0 ? 2 : -1;
}
LES_CONST int power_of(int place, int axis) { return index_at(place).at[axis]; }
// One less along an axis; 0 where there is none
LES_CONST int place_before(int place, int axis)
{
  MultiIndex i = index_at(place);
  if (axis < 0 || i.at[axis] == 0) return 0;
  i.at[axis]--;
  return place_of(i);
}
LES_CONST int number_of_invariants(int max_l, int max_nu)
{
  int n = 1 + (max_nu > 1 ? max_l : 0);
  for (int p = 1; p <= max_l; p++)
    for (int q = p; q <= max_l; q++) {
      n += max_nu > 2 && p + q <= max_l;
      for (int s = 1; s <= max_l; s++) n += max_nu > 3 && p < q && q + s <= max_l;
    }
  return n;
}

template <int L, int NU> struct Fixed {
  static constexpr Int<L> max_l{};
  static constexpr Int<NU> max_nu{};
  static constexpr Int<count_below(L + 1)> size{};    // monomials
  static constexpr Int<number_of_invariants(L, NU)> invariants{};
  static constexpr int CAPACITY = count_below(L + 1);    // of arrays

  template <int N> static LES_CONST Int<count_below(N)> below(Int<N>) { return {}; }
  template <int N> static LES_CONST Int<weight_at(N)> weight(Int<N>) { return {}; }
  template <int I, int J> static LES_CONST Int<place_of_sum(I, J)> sum(Int<I>, Int<J>) { return {}; }
  template <int N> static LES_CONST Int<axis_of(N)> axis(Int<N>) { return {}; }
  template <int N, int A> static LES_CONST Int<power_of(N, A)> power(Int<N>, Int<A>) { return {}; }
  template <int N, int A> static LES_CONST Int<place_before(N, A)> before(Int<N>, Int<A>) { return {}; }

  // f(i) for from <= i < to
  template <int From, int To, class F> static LES_FN void range(Int<From>, Int<To>, F &&f)
  {
    if constexpr (From < To) {
      f(Int<From>{});
      range(Int<From + 1>{}, Int<To>{}, f);
    }
  }
};

struct Any {
  int max_l, max_nu, size, invariants;
  // [size], [size, size], [size], [size, 3], [size, 3]; places of sums beyond max_l are not filled
  const int *weights, *sums, *axes, *powers, *befores;
  static constexpr int CAPACITY = count_below(11);

  LES_FN int below(int order) const { return count_below(order); }
  LES_FN int weight(int i) const { return weights[i]; }
  LES_FN int sum(int i, int j) const { return sums[i * size + j]; }
  LES_FN int axis(int i) const { return axes[i]; }
  LES_FN int power(int i, int a) const { return powers[3 * i + a]; }
  LES_FN int before(int i, int a) const { return befores[3 * i + a]; }
  template <class F> LES_FN void range(int from, int to, F &&f) const
  {
    for (int i = from; i < to; i++) f(i);
  }
};

constexpr Int<0> ZERO{};
constexpr Int<1> ONE{};
constexpr Int<3> AXES{};

// Monomials [size] of a unit vector.
template <class Orders, class V> LES_FN void monomials(const Orders &o, const V *unit, V *out)
{
  out[0] = all<V>(1);
  o.range(ONE, o.size, [&](auto i) LES_INLINE {
    const auto axis = o.axis(i);
    out[i] = unit[axis] * out[o.before(i, axis)];
  });
}

// sum_i g_i dY_i/du, [3], with the monomials y.
template <class Orders, class V> LES_FN void slopes_of_monomials(const Orders &o, const V *y, const V *g, V *out)
{
  for (int a = 0; a < 3; a++) out[a] = V{};
  o.range(ONE, o.size, [&](auto i) LES_INLINE {
    o.range(ZERO, AXES, [&](auto a) LES_INLINE {
      const auto power = o.power(i, a);
      if (power > 0) out[a] += g[i] * (Number<V>(power) * y[o.before(i, a)]);
    });
  });
}

// The invariants of angular.py of one channel: A basis [size] to [number_of_invariants].
template <class Orders, class V> LES_FN void invariants(const Orders &o, const V *a, V *out)
{
  using T = Number<V>;
  int next = 0;
  out[next++] = a[0];
  const auto end = o.max_l + ONE;
  if (o.max_nu > 1)
    o.range(ONE, end, [&](auto p) LES_INLINE {
      V total{};
      o.range(o.below(p), o.below(p + ONE), [&](auto i) LES_INLINE { total += T(o.weight(i)) * a[i] * a[i]; });
      out[next++] = total;
    });
  if (o.max_nu > 2)
    o.range(ONE, end, [&](auto p) LES_INLINE {
      o.range(p, end - p, [&](auto q) LES_INLINE {
        V total{};
        o.range(o.below(p), o.below(p + ONE), [&](auto i) LES_INLINE {
          V part{};
          o.range(o.below(q), o.below(q + ONE),
                  [&](auto j) LES_INLINE { part += (T(o.weight(j)) * a[j]) * a[o.sum(i, j)]; });
          total += (T(o.weight(i)) * a[i]) * part;
        });
        out[next++] = total;
      });
    });
  if (o.max_nu > 3)
    o.range(ONE, end, [&](auto p) LES_INLINE {
      o.range(p + ONE, end, [&](auto q) LES_INLINE {
        o.range(ONE, end - q, [&](auto s) LES_INLINE {
          V total{};
          o.range(o.below(s), o.below(s + ONE), [&](auto d) LES_INLINE {
            V first{}, second{};
            o.range(o.below(p), o.below(p + ONE),
                    [&](auto i) LES_INLINE { first += T(o.weight(i)) * a[i] * a[o.sum(i, d)]; });
            o.range(o.below(q), o.below(q + ONE),
                    [&](auto i) LES_INLINE { second += T(o.weight(i)) * a[i] * a[o.sum(i, d)]; });
            total += T(o.weight(d)) * first * second;
          });
          out[next++] = total;
        });
      });
    });
}

// Gradients g by the invariants to those by the A basis.
template <class Orders, class V> LES_FN void invariants_backward(const Orders &o, const V *a, const V *g, V *out)
{
  using T = Number<V>;
  int next = 0;
  out[0] = g[next++];
  for (int i = 1; i < o.size; i++) out[i] = V{};
  const auto end = o.max_l + ONE;
  if (o.max_nu > 1)
    o.range(ONE, end, [&](auto p) LES_INLINE {
      const V twice = T(2) * g[next++];
      o.range(o.below(p), o.below(p + ONE), [&](auto i) LES_INLINE { out[i] += (T(o.weight(i)) * twice) * a[i]; });
    });
  if (o.max_nu > 2)
    o.range(ONE, end, [&](auto p) LES_INLINE {
      o.range(p, end - p, [&](auto q) LES_INLINE {
        const V by = g[next++];
        o.range(o.below(p), o.below(p + ONE), [&](auto i) LES_INLINE {
          const V scaled = T(o.weight(i)) * by, left = scaled * a[i];
          V part{};
          o.range(o.below(q), o.below(q + ONE), [&](auto j) LES_INLINE {
            const auto both = o.sum(i, j);
            const V right = T(o.weight(j)) * a[j], of_both = a[both];
            part += right * of_both;
            out[both] += left * right;
            out[j] += (T(o.weight(j)) * left) * of_both;
          });
          out[i] += scaled * part;
        });
      });
    });
  if (o.max_nu > 3)
    o.range(ONE, end, [&](auto p) LES_INLINE {
      o.range(p + ONE, end, [&](auto q) LES_INLINE {
        o.range(ONE, end - q, [&](auto s) LES_INLINE {
          const V by = g[next++];
          o.range(o.below(s), o.below(s + ONE), [&](auto d) LES_INLINE {
            V first{}, second{};
            o.range(o.below(p), o.below(p + ONE),
                    [&](auto i) LES_INLINE { first += T(o.weight(i)) * a[i] * a[o.sum(i, d)]; });
            o.range(o.below(q), o.below(q + ONE),
                    [&](auto i) LES_INLINE { second += T(o.weight(i)) * a[i] * a[o.sum(i, d)]; });
            const V by_first = (T(o.weight(d)) * by) * second, by_second = (T(o.weight(d)) * by) * first;
            o.range(o.below(p), o.below(p + ONE), [&](auto i) LES_INLINE {
              const auto both = o.sum(i, d);
              const V w = T(o.weight(i)) * by_first, of_i = a[i];
              out[i] += w * a[both];
              out[both] += w * of_i;
            });
            o.range(o.below(q), o.below(q + ONE), [&](auto i) LES_INLINE {
              const auto both = o.sum(i, d);
              const V w = T(o.weight(i)) * by_second, of_i = a[i];
              out[i] += w * a[both];
              out[both] += w * of_i;
            });
          });
        });
      });
    });
}

}    // namespace les::cace
