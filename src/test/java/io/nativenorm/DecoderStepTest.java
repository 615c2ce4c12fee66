package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.nativenorm.engine.Operation;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The normalizations of a decoder's step as programs of a single file have them, on their arrays:
 * RMS of each token with weights of all layers in one array or a mapped file, of each head of the
 * queries and keys inside packed rows, and with 1 + w; of one token and of 64. {@code
 * bench/decoder.sh} races them.
 */
class DecoderStepTest {
  private static final int LAYERS = 2;
  private static final int HEADS = 16;
  private static final int KEY_HEADS = 8;
  private static final int HEAD = 128;
  private static final int DIM = HEADS * HEAD;
  private static final int PACKED = (HEADS + 2 * KEY_HEADS) * HEAD;
  private static final float EPS = 1e-6f;

  /** Its state and weights, as such a program holds them; what is between norms is left out. */
  private static final class Decoder implements AutoCloseable {
    private final float[] x;
    private final float[] xb;
    private final float[] qkv;
    private final float[] attentionWeights;
    private final float[] gemmaWeights;
    private final FloatBuffer mapped;
    private final RmsNorm[] queryNorms = new RmsNorm[LAYERS];
    private final RmsNorm[] keyNorms = new RmsNorm[LAYERS];

    /** Of weights with some deviation; with 0 steps in place leave numbers as large as they are. */
    Decoder(int tokens, Backend backend, double deviation) {
      attentionWeights = TestData.normal(3, LAYERS * DIM, 1, deviation);
      gemmaWeights = TestData.normal(4, LAYERS * DIM, 0, deviation);
      mapped = direct(TestData.normal(5, LAYERS * DIM, 1, deviation));
      x = TestData.normal(1, tokens * DIM, 0, 1);
      xb = new float[x.length];
      qkv = TestData.normal(2, tokens * PACKED, 0, 1);
      for (int layer = 0; layer < LAYERS; layer++) {
        queryNorms[layer] = RmsNorm.builder(HEAD).eps(EPS).backend(backend).build();
        queryNorms[layer].weight().copyFrom(TestData.normal(6 + layer, HEAD, 1, deviation));
        keyNorms[layer] = RmsNorm.builder(HEAD).eps(EPS).unitOffset(1).backend(backend).build();
        keyNorms[layer].weight().copyFrom(TestData.normal(8 + layer, HEAD, 0, deviation));
      }
    }

    private static FloatBuffer direct(float[] values) {
      return ByteBuffer.allocateDirect(values.length * Float.BYTES)
          .order(ByteOrder.nativeOrder())
          .asFloatBuffer()
          .put(0, values);
    }

    void step(int tokens) {
      for (int layer = 0; layer < LAYERS; layer++) {
        RmsNorm.normalize(x, 0, xb, 0, tokens, DIM, attentionWeights, layer * DIM, EPS);
        normalizeHeads(layer, tokens);
        RmsNorm.normalize(xb, 0, x, 0, tokens, DIM, gemmaWeights, layer * DIM, EPS, 1);
        RmsNorm.normalize(x, 0, x, 0, tokens, DIM, mapped, layer * DIM, EPS);
      }
    }

    /** The same on an engine. */
    void step(int tokens, RowFunction rms) {
      for (int layer = 0; layer < LAYERS; layer++) {
        int at = layer * DIM;
        rms.run(x, 0, xb, 0, tokens, DIM, attentionWeights, at, null, 0, EPS, 0);
        normalizeHeads(layer, tokens);
        rms.run(xb, 0, x, 0, tokens, DIM, gemmaWeights, at, null, 0, EPS, 1);
        rms.run(x, 0, x, 0, tokens, DIM, mapped, at, EPS, 0);
      }
    }

    private void normalizeHeads(int layer, int tokens) {
      int keys = HEADS * HEAD;
      queryNorms[layer].forward(qkv, 0, PACKED, qkv, 0, PACKED, HEADS, tokens * HEADS);
      keyNorms[layer].forward(qkv, keys, PACKED, qkv, keys, PACKED, KEY_HEADS, tokens * KEY_HEADS);
    }

    @Override
    public void close() {
      Arrays.stream(queryNorms).forEach(RmsNorm::close);
      Arrays.stream(keyNorms).forEach(RmsNorm::close);
    }
  }

  /** As the definition says it, in doubles. */
  private static final class Exact {
    private final double[] x;
    private final double[] qkv;

    Exact(Decoder decoder, int tokens) {
      x = TestData.widen(decoder.x);
      qkv = TestData.widen(decoder.qkv);
      for (int layer = 0; layer < LAYERS; layer++) {
        float[] queries = decoder.queryNorms[layer].weight().toArray();
        float[] keys = decoder.keyNorms[layer].weight().toArray();
        for (int token = 0; token < tokens; token++) {
          int at = token * DIM;
          for (int head = 0; head < HEADS; head++) {
            normalize(qkv, token * PACKED + head * HEAD, queries, 0, HEAD, 0);
          }
          for (int head = 0; head < KEY_HEADS; head++) {
            normalize(qkv, token * PACKED + (HEADS + head) * HEAD, keys, 0, HEAD, 1);
          }
          normalize(x, at, decoder.attentionWeights, layer * DIM, DIM, 0);
          normalize(x, at, decoder.gemmaWeights, layer * DIM, DIM, 1);
          float[] mapped = new float[DIM];
          decoder.mapped.get(layer * DIM, mapped);
          normalize(x, at, mapped, 0, DIM, 0);
        }
      }
    }

    private static void normalize(
        double[] values, int at, float[] weight, int from, int length, int add) {
      double squares = 0;
      for (int i = 0; i < length; i++) {
        squares += values[at + i] * values[at + i];
      }
      double inverse = 1 / Math.sqrt(squares / length + EPS);
      for (int i = 0; i < length; i++) {
        values[at + i] *= inverse * ((double) weight[from + i] + add);
      }
    }
  }

  private static void assertClose(double[] expected, float[] found) {
    for (int i = 0; i < found.length; i++) {
      assertEquals(expected[i], found[i], 2e-6 * (1 + Math.abs(expected[i])), "at " + i);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 64})
  void everyEngineGivesTheStepsNumbers(int tokens) {
    RowFunction java = new RowFunction("rms", Operation.RMS, Backend.JAVA);
    try (Decoder decoder = new Decoder(tokens, Backend.AUTO, 0.3);
        Decoder other = new Decoder(tokens, Backend.JAVA, 0.3)) {
      Exact exact = new Exact(decoder, tokens);
      decoder.step(tokens);
      other.step(tokens, java);
      assertClose(exact.x, decoder.x);
      assertClose(exact.qkv, decoder.qkv);
      if (TestEngines.hasFused()) {
        assertArrayEquals(other.x, decoder.x);
        assertArrayEquals(other.qkv, decoder.qkv);
      }
    }
  }

  @Test
  void aStepAllocatesNothing() {
    TestEngines.assumeFused();
    for (int tokens : new int[] {1, 64}) {
      try (Decoder decoder = new Decoder(tokens, Backend.AUTO, 0)) {
        AllocationTest.assertAllocatesNothing(tokens + " tokens", () -> decoder.step(tokens));
      }
    }
  }
}
