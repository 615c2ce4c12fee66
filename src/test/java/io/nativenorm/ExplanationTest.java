package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What is said of the choice of engines, as a record and as text. */
@SameOnAnyJvm
class ExplanationTest {
  @Test
  void theRecordHasWhatTheTextSays() {
    try (LayerNorm layer = LayerNorm.builder(768).backend(Backend.JAVA).threads(1).build();
        Tensor x = Tensor.zeros(32, 768)) {
      Explanation explanation = layer.explanation(x);
      assertEquals("LayerNorm([768])", explanation.layer());
      assertEquals("F32 CHANNELS_FIRST [32, 768]", explanation.input());
      assertEquals(Backend.JAVA, explanation.backend());
      assertEquals(1, explanation.threads());
      for (Explanation.Choice choice :
          List.of(explanation.inference(), explanation.training(), explanation.backward())) {
        assertEquals(Optional.of(Backend.JAVA), choice.engine());
        assertEquals(Optional.of("reference"), choice.kernel());
        String why = "not asked: the backend is JAVA";
        assertEquals(Map.of(Backend.FUSED, why, Backend.ONEDNN, why), choice.reasons());
        assertThrows(UnsupportedOperationException.class, () -> choice.reasons().clear());
      }
      String lines =
          "LayerNorm([768]) on F32 CHANNELS_FIRST [32, 768], backend JAVA, threads 1\n"
              + "  inference: JAVA, kernel "
              + explanation.inference().kernel().orElseThrow()
              + "\n    not FUSED: not asked: the backend is JAVA\n";
      assertTrue(layer.explain(x).startsWith(lines), layer.explain(x));
    }
  }

  @Test
  void anInputNeedNotBeThere() {
    try (BatchNorm layer = BatchNorm.of(64);
        Tensor x = Tensor.allocate(DataType.F32, Layout.CHANNELS_LAST, 2, 64, 8, 8)) {
      String said = layer.explain(DataType.F32, Layout.CHANNELS_LAST, 2, 64, 8, 8);
      assertEquals(layer.explain(x), said);
      // 2^40 elements, which are not allocated.
      String large = layer.explain(DataType.F32, Layout.CHANNELS_FIRST, 1 << 14, 64, 1 << 20);
      assertTrue(large.contains("[16384, 64, 1048576]"), large);
    }
  }

  @Test
  void whatTheLayerDoesNotTakeIsRefused() {
    try (BatchNorm layer = BatchNorm.of(64)) {
      assertThrows(
          IllegalArgumentException.class,
          () -> layer.explain(DataType.I64, Layout.CHANNELS_FIRST, 2, 64));
      assertThrows(
          IllegalArgumentException.class,
          () -> layer.explain(DataType.F32, Layout.CHANNELS_FIRST, 2, 63));
      assertThrows(
          IllegalArgumentException.class,
          () -> layer.explain(DataType.F32, Layout.CHANNELS_FIRST, 2, 64, -1));
      assertThrows(
          NullPointerException.class, () -> layer.explain(null, Layout.CHANNELS_FIRST, 2, 64));
      assertThrows(NullPointerException.class, () -> layer.explain(DataType.F32, null, 2, 64));
      assertThrows(
          NullPointerException.class,
          () -> layer.explain(DataType.F32, Layout.CHANNELS_FIRST, (long[]) null));
    }
  }

  /**
   * What exchanges statistics runs in phases, which ONEDNN has not; frozen it has none to exchange.
   */
  @Test
  void anExchangeHasPhases() {
    StatisticsExchange end = StatisticsExchange.threads(1, Duration.ofSeconds(30)).get(0);
    try (BatchNorm layer = BatchNorm.builder(64).exchange(end).build();
        Tensor x = Tensor.zeros(2, 64, 8, 8)) {
      Explanation explanation = layer.explanation(x);
      for (Explanation.Choice choice : List.of(explanation.training(), explanation.backward())) {
        String why = "has no phases: its primitives compute a batch as a whole";
        assertEquals(why, choice.reasons().get(Backend.ONEDNN));
      }
      layer.freeze();
      explanation = layer.explanation(x);
      for (Explanation.Choice choice : List.of(explanation.training(), explanation.backward())) {
        String why = "accepts it, but comes after FUSED";
        assertEquals(why, choice.reasons().get(Backend.ONEDNN));
      }
    }
  }

  @Test
  void ofAnEmptyInputThereIsNothingToCompute() {
    try (LayerNorm layer = LayerNorm.of(8)) {
      String said = layer.explain(DataType.F32, Layout.CHANNELS_FIRST, 0, 8);
      assertTrue(said.endsWith("backward: nothing to compute, the input is empty"), said);
      try (Tensor x = Tensor.zeros(0, 8)) {
        assertEquals(Optional.empty(), layer.explanation(x).training().engine());
      }
    }
  }
}
