// Vectors of unsigned bytes for the Viterbi search: saturating sums, minima, and the two permutations that a bitshift
// trellis needs. Both stay within what one load brings in: windows that follow each other differ in their newest bits.
//
//   expand<E>(p)          lane l = p[l >> E]: each old state goes to the 2^E windows that it is the older part of
//   CostRow::block(k)     lane l = cost[k ^ l]: the index of a window is linear in its bits, so a block of windows
//   reads
//                         a block of costs in an order that is an exclusive or

#if defined(__AVX512BW__)
constexpr int64_t kByteLanes = 64;
struct Bytes {
  __m512i v;
};
CODEWORD_INLINE Bytes load_bytes(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
CODEWORD_INLINE void store_bytes(uint8_t* p, Bytes a) { _mm512_storeu_si512(p, a.v); }
CODEWORD_INLINE Bytes splat_bytes(uint8_t a) { return {_mm512_set1_epi8(static_cast<char>(a))}; }
CODEWORD_INLINE Bytes add_saturated(Bytes a, Bytes b) { return {_mm512_adds_epu8(a.v, b.v)}; }
CODEWORD_INLINE Bytes sub_bytes(Bytes a, Bytes b) { return {_mm512_sub_epi8(a.v, b.v)}; }
CODEWORD_INLINE Bytes min(Bytes a, Bytes b) { return {_mm512_min_epu8(a.v, b.v)}; }
CODEWORD_INLINE Bytes to_bytes(Words a) { return {a.v}; }
CODEWORD_INLINE Words to_words(Bytes a) { return {a.v}; }
CODEWORD_INLINE Bytes both(Bytes a, Bytes b) { return {_mm512_and_si512(a.v, b.v)}; }
CODEWORD_INLINE Bytes either(Bytes a, Bytes b) { return {_mm512_or_si512(a.v, b.v)}; }
CODEWORD_INLINE Bytes unequal(Bytes a, Bytes b) { return {_mm512_xor_si512(a.v, b.v)}; }
CODEWORD_INLINE Bytes equal(Bytes a, Bytes b) { return {_mm512_movm_epi8(_mm512_cmpeq_epi8_mask(a.v, b.v))}; }
CODEWORD_INLINE Bytes choose(Bytes mask, Bytes a, Bytes b) {
  return {_mm512_ternarylogic_epi64(mask.v, a.v, b.v, 0xCA)};
}
CODEWORD_INLINE Bytes repeat_16(__m128i a) { return {_mm512_broadcast_i32x4(a)}; }
CODEWORD_INLINE Bytes join_groups(const __m128i (&a)[4]) {
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(a[0]), a[1], 1);
  const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(a[2]), a[3], 1);
  return {_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1)};
}
#elif defined(__AVX2__)
constexpr int64_t kByteLanes = 32;
struct Bytes {
  __m256i v;
};
CODEWORD_INLINE Bytes load_bytes(const uint8_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
CODEWORD_INLINE void store_bytes(uint8_t* p, Bytes a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }
CODEWORD_INLINE Bytes splat_bytes(uint8_t a) { return {_mm256_set1_epi8(static_cast<char>(a))}; }
CODEWORD_INLINE Bytes add_saturated(Bytes a, Bytes b) { return {_mm256_adds_epu8(a.v, b.v)}; }
CODEWORD_INLINE Bytes sub_bytes(Bytes a, Bytes b) { return {_mm256_sub_epi8(a.v, b.v)}; }
CODEWORD_INLINE Bytes min(Bytes a, Bytes b) { return {_mm256_min_epu8(a.v, b.v)}; }
CODEWORD_INLINE Bytes to_bytes(Words a) { return {a.v}; }
CODEWORD_INLINE Words to_words(Bytes a) { return {a.v}; }
CODEWORD_INLINE Bytes both(Bytes a, Bytes b) { return {_mm256_and_si256(a.v, b.v)}; }
CODEWORD_INLINE Bytes either(Bytes a, Bytes b) { return {_mm256_or_si256(a.v, b.v)}; }
CODEWORD_INLINE Bytes unequal(Bytes a, Bytes b) { return {_mm256_xor_si256(a.v, b.v)}; }
CODEWORD_INLINE Bytes equal(Bytes a, Bytes b) { return {_mm256_cmpeq_epi8(a.v, b.v)}; }
CODEWORD_INLINE Bytes choose(Bytes mask, Bytes a, Bytes b) { return {_mm256_blendv_epi8(b.v, a.v, mask.v)}; }
CODEWORD_INLINE Bytes repeat_16(__m128i a) { return {_mm256_broadcastsi128_si256(a)}; }
CODEWORD_INLINE Bytes join_groups(const __m128i (&a)[2]) {
  return {_mm256_inserti128_si256(_mm256_castsi128_si256(a[0]), a[1], 1)};
}
#elif defined(__aarch64__) || defined(_M_ARM64)
constexpr int64_t kByteLanes = 16;
struct Bytes {
  uint8x16_t v;
};
CODEWORD_INLINE Bytes load_bytes(const uint8_t* p) { return {vld1q_u8(p)}; }
CODEWORD_INLINE void store_bytes(uint8_t* p, Bytes a) { vst1q_u8(p, a.v); }
CODEWORD_INLINE Bytes splat_bytes(uint8_t a) { return {vdupq_n_u8(a)}; }
CODEWORD_INLINE Bytes add_saturated(Bytes a, Bytes b) { return {vqaddq_u8(a.v, b.v)}; }
CODEWORD_INLINE Bytes sub_bytes(Bytes a, Bytes b) { return {vsubq_u8(a.v, b.v)}; }
CODEWORD_INLINE Bytes min(Bytes a, Bytes b) { return {vminq_u8(a.v, b.v)}; }
CODEWORD_INLINE Bytes to_bytes(Words a) { return {vreinterpretq_u8_u32(a.v)}; }
CODEWORD_INLINE Words to_words(Bytes a) { return {vreinterpretq_u32_u8(a.v)}; }
CODEWORD_INLINE Bytes both(Bytes a, Bytes b) { return {vandq_u8(a.v, b.v)}; }
CODEWORD_INLINE Bytes either(Bytes a, Bytes b) { return {vorrq_u8(a.v, b.v)}; }
CODEWORD_INLINE Bytes unequal(Bytes a, Bytes b) { return {veorq_u8(a.v, b.v)}; }
CODEWORD_INLINE Bytes equal(Bytes a, Bytes b) { return {vceqq_u8(a.v, b.v)}; }
CODEWORD_INLINE Bytes choose(Bytes mask, Bytes a, Bytes b) { return {vbslq_u8(mask.v, a.v, b.v)}; }
CODEWORD_INLINE uint8x16_t load_16(const uint8_t* p) { return vld1q_u8(p); }
CODEWORD_INLINE uint8x16_t with_last_half(uint8x16_t a, uint16_t last) {
  return vreinterpretq_u8_u16(vsetq_lane_u16(last, vreinterpretq_u16_u8(a), 7));
}
CODEWORD_INLINE Bytes repeat_16(uint8x16_t a) { return {a}; }
CODEWORD_INLINE Bytes join_groups(const uint8x16_t (&a)[1]) { return {a[0]}; }
#else
constexpr int64_t kByteLanes = 16;
struct Bytes {
  __m128i v;
};
CODEWORD_INLINE Bytes load_bytes(const uint8_t* p) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))}; }
CODEWORD_INLINE void store_bytes(uint8_t* p, Bytes a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), a.v); }
CODEWORD_INLINE Bytes splat_bytes(uint8_t a) { return {_mm_set1_epi8(static_cast<char>(a))}; }
CODEWORD_INLINE Bytes add_saturated(Bytes a, Bytes b) { return {_mm_adds_epu8(a.v, b.v)}; }
CODEWORD_INLINE Bytes sub_bytes(Bytes a, Bytes b) { return {_mm_sub_epi8(a.v, b.v)}; }
CODEWORD_INLINE Bytes min(Bytes a, Bytes b) { return {_mm_min_epu8(a.v, b.v)}; }
CODEWORD_INLINE Bytes to_bytes(Words a) { return {a.v}; }
CODEWORD_INLINE Words to_words(Bytes a) { return {a.v}; }
CODEWORD_INLINE Bytes both(Bytes a, Bytes b) { return {_mm_and_si128(a.v, b.v)}; }
CODEWORD_INLINE Bytes either(Bytes a, Bytes b) { return {_mm_or_si128(a.v, b.v)}; }
CODEWORD_INLINE Bytes unequal(Bytes a, Bytes b) { return {_mm_xor_si128(a.v, b.v)}; }
CODEWORD_INLINE Bytes equal(Bytes a, Bytes b) { return {_mm_cmpeq_epi8(a.v, b.v)}; }
CODEWORD_INLINE Bytes choose(Bytes mask, Bytes a, Bytes b) { return {_mm_blendv_epi8(b.v, a.v, mask.v)}; }
CODEWORD_INLINE Bytes repeat_16(__m128i a) { return {a}; }
CODEWORD_INLINE Bytes join_groups(const __m128i (&a)[1]) { return {a[0]}; }
#endif

// Groups of 16 bytes: loaded, the last two of them replaced; repeat_16 fills a vector with one, join_groups with
// several.
#if !defined(__aarch64__) && !defined(_M_ARM64)
CODEWORD_INLINE __m128i load_16(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
CODEWORD_INLINE __m128i with_last_half(__m128i a, uint16_t last) { return _mm_insert_epi16(a, last, 7); }
#endif
CODEWORD_INLINE Bytes repeat_16(const uint8_t* p) { return repeat_16(load_16(p)); }

// The least lane.
#if defined(__aarch64__) || defined(_M_ARM64)
CODEWORD_INLINE uint32_t lane_min(Bytes a) { return vminvq_u8(a.v); }
#else
CODEWORD_INLINE uint32_t lane_min(__m128i a) {
  return _mm_cvtsi128_si32(_mm_minpos_epu16(_mm_min_epu8(a, _mm_srli_epi16(a, 8)))) & 255;
}
#if defined(__AVX2__)
CODEWORD_INLINE uint32_t lane_min(__m256i a) {
  return lane_min(_mm_min_epu8(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)));
}
#endif
#if defined(__AVX512BW__)
CODEWORD_INLINE uint32_t lane_min(__m512i a) {
  return lane_min(_mm256_min_epu8(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1)));
}
#endif
CODEWORD_INLINE uint32_t lane_min(Bytes a) { return lane_min(a.v); }
#endif

// Lane l of each group of 16 becomes lane order[l] of the same group.
#if defined(__AVX512BW__)
CODEWORD_INLINE Bytes shuffle_16(Bytes a, Bytes order) { return {_mm512_shuffle_epi8(a.v, order.v)}; }
#elif defined(__AVX2__)
CODEWORD_INLINE Bytes shuffle_16(Bytes a, Bytes order) { return {_mm256_shuffle_epi8(a.v, order.v)}; }
#elif defined(__aarch64__) || defined(_M_ARM64)
CODEWORD_INLINE Bytes shuffle_16(Bytes a, Bytes order) { return {vqtbl1q_u8(a.v, order.v)}; }
#else
CODEWORD_INLINE Bytes shuffle_16(Bytes a, Bytes order) { return {_mm_shuffle_epi8(a.v, order.v)}; }
#endif

// lanes[e][l] = l >> e, modulo 16: the order that expand<e> shuffles with.
struct ExpandOrders {
  alignas(64) uint8_t lanes[7][kByteLanes];

  constexpr ExpandOrders() : lanes() {
    for (int e = 0; e < 7; ++e) {
      for (int64_t l = 0; l < kByteLanes; ++l) lanes[e][l] = static_cast<uint8_t>((l >> e) & 15);
    }
  }
};
constexpr ExpandOrders kExpandOrders;

// `order` is kExpandOrders.lanes[E]. Reads kByteLanes >> E bytes, but at least 16.
template <int E>
CODEWORD_INLINE Bytes expand(const uint8_t* p, Bytes order) {
#if defined(__AVX512BW__)
  if constexpr (E == 1) {  // 32 bytes: a group of 16 lanes wants 8 of them
    const __m512i words = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return {_mm512_or_si512(words, _mm512_slli_epi16(words, 8))};
  }
#endif
  return shuffle_16(repeat_16(p), order);
}

// The 256 costs of one step, readable in every order k ^ l. VBMI permutes 64 bytes at once; elsewhere shuffles stay
// within 16 bytes, and copies with the groups of 16 in every order bring the right one to each lane.
#if defined(__AVX512VBMI__)
constexpr int64_t kCostCopies = 1, kCostOrders = 64;
#else
constexpr int64_t kCostCopies = kByteLanes / 16, kCostOrders = 16;
#endif

// orders[o] holds lane ^ o (modulo kCostOrders).
CODEWORD_INLINE void fill_cost_orders(uint8_t* orders) {
  for (int64_t o = 0; o < kCostOrders; ++o) {
    for (int64_t l = 0; l < kByteLanes; ++l) {
      orders[o * kByteLanes + l] = static_cast<uint8_t>((l ^ o) & (kCostOrders - 1));
    }
  }
}

// Where the costs k ^ l lie: offsets of the order and of the costs.
struct CostBlock {
  uint16_t order, costs;
};
CODEWORD_INLINE CostBlock cost_block(uint32_t k) {
  constexpr uint32_t low = kByteLanes - 1, copy = low & ~static_cast<uint32_t>(kCostOrders - 1);
  return {static_cast<uint16_t>((k & (kCostOrders - 1)) * kByteLanes),
          static_cast<uint16_t>((k & copy) * 16 + (k & ~low))};
}

struct CostRow {
  const uint8_t* costs;  // kCostCopies rows of 256
  const uint8_t* orders;

  CODEWORD_INLINE Bytes block(CostBlock b) const {
#if defined(__AVX512VBMI__)
    return {_mm512_permutexvar_epi8(load_bytes(orders + b.order).v, _mm512_loadu_si512(costs + b.costs))};
#else
    return shuffle_16(load_bytes(costs + b.costs), load_bytes(orders + b.order));
#endif
  }
};

// Lays out `row` (256 costs) as CostRow wants it.
CODEWORD_INLINE void copy_costs(const uint8_t* row, uint8_t* costs) {
  for (int64_t copy = 0; copy < kCostCopies; ++copy) {
    for (int64_t j = 0; j < 256; j += 16) {
      __builtin_memcpy(costs + 256 * copy + j, row + (j ^ 16 * copy), 16);
    }
  }
}
