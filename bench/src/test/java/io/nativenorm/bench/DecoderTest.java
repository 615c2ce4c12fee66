package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.nativenorm.bench.contestant.NativeNormDecoder;
import io.nativenorm.bench.contestant.PlainDecoder;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Both sides of the decoder's race compute the same, again and again. */
class DecoderTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 3, DecoderCalls.MOST_TOKENS})
  void everyCallIsRight(int tokens) {
    for (DecoderCalls.Named call : DecoderCalls.ALL) {
      try (DecoderCalls own = new NativeNormDecoder();
          DecoderCalls plain = new PlainDecoder()) {
        for (int i = 0; i < 3; i++) {
          assertEquals(0, Decoder.error(call, tokens, own, plain), Decoder.ALLOWED, call.name());
        }
      }
    }
  }
}
