// Integer dot products of int16 weights with the fields of codes: symbols of 2, 4 or 8 bits, 8 / bits to a byte.
//
// Plane t of a query's weights (8 / bits planes of `padded` int16) belongs to the fields at bits [bits t, bits t +
// bits) of the code bytes; it is zero from code_size on, so whatever follows a row counts for nothing. A step widens 2
// * kLanes bytes to 16 bits, cuts the planes out, and sums products of halves: 255 * 32767 * 2 < 2^24 a lane and step.
// The caller scales the weights so that no sum reaches 2^31 (native/core/fields.cpp).

template <int kBits, int kQueries, int kRows>
CODEWORD_INLINE void fields_tile(const uint8_t* codes, int64_t stride, const int16_t* weights, int64_t padded,
                                 Words (&acc)[kRows][kQueries]) {
  constexpr int kPlanes = 8 / kBits;
  const Words mask = splat_halves((1 << kBits) - 1);
  for (int r = 0; r < kRows; ++r) {
    for (int l = 0; l < kQueries; ++l) acc[r][l] = zero_words();
  }
  for (int64_t at = 0; at < padded; at += 2 * kLanes) {
    Words bytes[kRows];
    for (int r = 0; r < kRows; ++r) bytes[r] = widen_bytes(codes + r * stride + at);
    for_planes<kPlanes>([&](auto plane) {
      for (int l = 0; l < kQueries; ++l) {
        const Words w = load_words(weights + (l * kPlanes + plane.value) * padded + at);
        for (int r = 0; r < kRows; ++r) {
          acc[r][l] = dot_halves(acc[r][l], field<kBits * plane.value>(bytes[r], mask), w);
        }
      }
    });
  }
}

// Rows in a tile of four queries; kRows * 4 accumulators and a few more must fit the registers.
constexpr int kFieldRows = kLanes == 16 ? 4 : 2;

template <int kBits>
void fields_of_width(const uint8_t* codes, int64_t n, int64_t stride, const int16_t* weights, int64_t padded, bool four,
                     int32_t* sums) {
  int64_t i = 0;
  if (four) {
    for (; i + kFieldRows <= n; i += kFieldRows) {
      Words acc[kFieldRows][4];
      fields_tile<kBits, 4, kFieldRows>(codes + i * stride, stride, weights, padded, acc);
      for (int r = 0; r < kFieldRows; ++r) sum_lanes(acc[r], sums + 4 * (i + r));
    }
    for (; i < n; ++i) {
      Words acc[1][4];
      fields_tile<kBits, 4, 1>(codes + i * stride, stride, weights, padded, acc);
      sum_lanes(acc[0], sums + 4 * i);
    }
    return;
  }
  for (; i + 4 <= n; i += 4) {
    Words acc[4][1];
    fields_tile<kBits, 1, 4>(codes + i * stride, stride, weights, padded, acc);
    sum_lanes({acc[0][0], acc[1][0], acc[2][0], acc[3][0]}, sums + i);
  }
  for (; i < n; ++i) {
    Words acc[1][1];
    fields_tile<kBits, 1, 1>(codes + i * stride, stride, weights, padded, acc);
    int32_t four_sums[4];
    sum_lanes({acc[0][0], zero_words(), zero_words(), zero_words()}, four_sums);
    sums[i] = four_sums[0];
  }
}

void scan_fields(const uint8_t* codes, int64_t n, int64_t stride, const int16_t* weights, int64_t padded, int bits,
                 bool four, int32_t* sums) {
  switch (bits) {
    case 2:
      return fields_of_width<2>(codes, n, stride, weights, padded, four, sums);
    case 4:
      return fields_of_width<4>(codes, n, stride, weights, padded, four, sums);
    default:
      return fields_of_width<8>(codes, n, stride, weights, padded, four, sums);
  }
}

// Of c and u = c (2^bits - 1 - c), which is at most 127 * 128 < 2^14: the sum of linear * c, and that of curved * u,
// curved at least 0, in two parts. A lane's curved sum of one step is below 2 * 2^14 * 2^15 = 2^30; its upper half and,
// modulo 2^32, the whole are summed, and low = whole - 65536 * high: both below 2^31 in all for up to 65,536 fields.
template <int kBits>
void squares_of_width(const uint8_t* codes, int64_t n, int64_t stride, const int16_t* linear, const int16_t* curved,
                      int64_t padded, int64_t* sums) {
  const Words top = splat_halves((1 << kBits) - 1);
  for (int64_t i = 0; i < n; ++i, codes += stride, sums += 2) {
    Words line = zero_words(), whole = zero_words(), high = zero_words();
    for (int64_t at = 0; at < padded; at += 2 * kLanes) {
      const Words bytes = widen_bytes(codes + at);
      for_planes<8 / kBits>([&](auto plane) {
        const Words c = field<kBits * plane.value>(bytes, top), u = mul_halves(c, sub_halves(top, c));
        line = dot_halves(line, c, load_words(linear + plane.value * padded + at));
        const Words curve = dot_halves(zero_words(), u, load_words(curved + plane.value * padded + at));
        whole = add(whole, curve);
        high = add(high, high_to_low(curve));
      });
    }
    int32_t parts[4];
    sum_lanes({line, sub(whole, low_to_high(high)), high, zero_words()}, parts);
    sums[0] = parts[0];
    sums[1] = parts[1] + int64_t(65536) * parts[2];
  }
}

void scan_squares(const uint8_t* codes, int64_t n, int64_t stride, const int16_t* linear, const int16_t* curved,
                  int64_t padded, int bits, int64_t* sums) {
  switch (bits) {
    case 2:
      return squares_of_width<2>(codes, n, stride, linear, curved, padded, sums);
    case 4:
      return squares_of_width<4>(codes, n, stride, linear, curved, padded, sums);
    default:
      return squares_of_width<8>(codes, n, stride, linear, curved, padded, sums);
  }
}
