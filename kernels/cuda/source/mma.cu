/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* d += a * b of 16 x 16 and 16 x 8 halves. */
#ifdef EMULATED
INLINE void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2])
{
  emu_mma(d, a, b, HALF ? half_to_float : bf16_to_float);
}
#else
INLINE void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2])
{
#if HALF
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
#else
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
#endif
               "{%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif
