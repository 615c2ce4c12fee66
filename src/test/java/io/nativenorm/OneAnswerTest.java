package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Engines;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * FUSED and JAVA give the same bits: results, statistics and gradients, around all sizes at which
 * sums are cut and for all units that take doubles. Random problems print their seed; {@code
 * -Dnativenorm.seed=<number>} runs that one alone.
 */
@SameOnAnyJvm
class OneAnswerTest {
  private static final int RANDOM = 100;

  /** N, C and positions. */
  private static final int[][] SHAPES = {
    {1, 1, 2},
    {2, 3, 7},
    {3, 30, 35},
    {2, 12, 31},
    {2, 12, 32},
    {5, 4, 33},
    {8, 61, 221},
    {2, 16, 480},
    {3, 5, 512},
    {2, 6, 513},
    {40, 2, 196},
    {1, 70, 128},
    {1, 3, 16385},
    {2, 2, 40000},
    {1, 64, 3136},
    {600, 4, 3},
    {1, 1026, 5},
    {2, 1000, 70},
    {9, 768, 1},
    {65, 33, 1},
    {257, 12, 1},
    {2, 4097, 1},
    {1, 40000, 1},
    {700, 96, 1}
  };

  /** What the input is. */
  private enum Data {
    MEAN_0(0.3, 1),
    MEAN_4(4, 1),
    MEAN_100(100, 1),
    MEAN_10000(1e4, 1),
    TINY(0, 1e-22),
    DENORMAL(1e-41, 1e-41),
    HUGE(1e25, 1e25),
    LARGEST(0, 1e38),
    CONSTANT(-3.3, 0),
    ZERO(0, 0),
    ONE_UNIT_CONSTANT(0.7, 1),
    NOT_FINITE(0.3, 1);

    private final double mean;
    private final double deviation;

    Data(double mean, double deviation) {
      this.mean = mean;
      this.deviation = deviation;
    }

    float[] x(LayerCase c) {
      float[] x = TestData.normal(c.seed(), c.size(), mean, deviation);
      if (this == ONE_UNIT_CONSTANT) {
        // Of each layer some units are, and some are not: rows, channels, and groups of channels.
        int channel = c.kind().isRows() ? c.size() / c.n() / c.c() : c.s();
        Arrays.fill(x, 0, Math.min(x.length / 2 + 1, channel * c.c()), 0.1f);
        for (int n = 0; n < c.n(); n++) {
          int at = n * c.c() * c.s();
          Arrays.fill(x, at, at + c.s(), 0.1f);
        }
      } else if (this == NOT_FINITE) {
        x[0] = Float.POSITIVE_INFINITY;
        x[x.length / 2] = Float.NaN;
        x[x.length - 1] = Float.NEGATIVE_INFINITY;
      }
      return x;
    }
  }

  @BeforeAll
  static void areThere() {
    assumeBoth();
  }

  /**
   * FUSED is missing where there was no compiler, SSE4 and a JVM without fma promise bits of their
   * own, which AnswersTest and FusedMultiplyAddTest see to: that these engines say so rightly too.
   */
  static void assumeBoth() {
    TestEngines.assumeFused();
    for (Engine engine : Engines.all()) {
      Assumptions.assumeTrue(
          engine.backend() == Backend.ONEDNN || engine.isReproducible(),
          () -> engine.backend() + " has bits of its own: " + engine.description());
    }
  }

  static Stream<LayerCase> cases(LayerCase.Kind kind) {
    List<LayerCase> cases = new ArrayList<>();
    for (int[] s : SHAPES) {
      if (kind == LayerCase.Kind.LAYER_OF_TWO_DIMENSIONS && s[2] == 1) {
        continue;
      }
      long[] shape = s[2] == 1 ? new long[] {s[0], s[1]} : new long[] {s[0], s[1], s[2]};
      for (Layout layout : Layout.values()) {
        if (layout == Layout.CHANNELS_FIRST || (!kind.isRows() && s[2] > 1)) {
          cases.add(new LayerCase(kind, layout, Backend.AUTO, shape));
        }
      }
    }
    return cases.stream();
  }

  @ParameterizedTest
  @EnumSource(LayerCase.Kind.class)
  void ofAllSizes(LayerCase.Kind kind) {
    forPairs(cases(kind), Data.values(), OneAnswerTest::check);
  }

  @ParameterizedTest
  @EnumSource(LayerCase.Kind.class)
  void ofAllOptions(LayerCase.Kind kind) {
    forPairs(
        cases(kind),
        LayerCase.Affine.values(),
        (c, affine) -> {
          check(c.with(affine).with(Activation.RELU), Data.MEAN_0);
          check(c.with(affine).with(Activation.RELU), Data.ONE_UNIT_CONSTANT);
          check(c.with(affine), Data.MEAN_10000);
          check(c.with(affine), Data.HUGE);
          check(c.with(affine), Data.ONE_UNIT_CONSTANT);
        });
  }

  /**
   * Every fifth option of each case, and every one of each fifth case, so that both layouts, which
   * take turns, have all options. All pairs, {@code -Dnativenorm.pairs=1}, take a minute.
   */
  private static <T> void forPairs(
      Stream<LayerCase> cases, T[] options, BiConsumer<LayerCase, T> check) {
    int step = Integer.getInteger("nativenorm.pairs", 5);
    List<LayerCase> problems = cases.filter(OneAnswerTest::isProblem).toList();
    for (int i = 0; i < problems.size(); i++) {
      for (int k = i % step; k < options.length; k += step) {
        check.accept(problems.get(i), options[k]);
      }
    }
  }

  @Test
  void ofRandomProblems() {
    Long wanted = Long.getLong("nativenorm.seed");
    long first = wanted != null ? wanted : System.nanoTime();
    for (long seed = first; seed < first + (wanted != null ? 1 : RANDOM); seed++) {
      LayerCase c = RandomProblemsTest.problem(seed);
      Data[] data = Data.values();
      if (isProblem(c)) {
        check(c, data[new Random(seed).nextInt(data.length)]);
      }
    }
  }

  /** One value in a unit is an error for some layers. */
  private static boolean isProblem(LayerCase c) {
    return c.kind().isRows()
        || c.kind() == LayerCase.Kind.GROUP
        || c.trainingOracle().valuesPerUnit() > 1;
  }

  /** All that comes out of a layer, by name. */
  private record Answer(List<String> names, List<float[]> values) {
    Answer() {
      this(new ArrayList<>(), new ArrayList<>());
    }

    void add(String name, Tensor tensor) {
      if (tensor != null) {
        names.add(name);
        values.add(tensor.toArray());
      }
    }
  }

  private static Answer answer(LayerCase c, float[] x) {
    Answer answer = new Answer();
    try (NormLayer layer = c.layer();
        Tensor input = c.tensor(x);
        Tensor dy = c.tensor(c.dy());
        Tensor y = layer.forward(input)) {
      answer.add("inference", y);
      if (layer instanceof BatchNorm batch && c.kind().isRunning()) {
        try (Pass pass = batch.forwardFrozen(input)) {
          addGradients(answer, pass, dy, "frozen ");
        }
      }
      try (Pass pass = layer.forwardTraining(input)) {
        answer.add("y", pass.output());
        answer.add("mean", pass.mean());
        answer.add("variance", pass.variance());
        addGradients(answer, pass, dy, "");
      }
      layer
          .state()
          .forEach(
              (name, tensor) -> {
                if (name.startsWith("running")) {
                  answer.add(name, tensor);
                }
              });
      layer.forward(input, input);
      answer.add("inference in place", input);
    }
    return answer;
  }

  private static void addGradients(Answer answer, Pass pass, Tensor dy, String prefix) {
    try (Gradients gradients = pass.backward(dy)) {
      answer.add(prefix + "dx", gradients.input());
      answer.add(prefix + "dweight", gradients.weight());
      answer.add(prefix + "dbias", gradients.bias());
    }
  }

  private static void check(LayerCase c, Data data) {
    float[] x = data.x(c);
    Answer fused = answer(c.with(Backend.FUSED), x);
    Answer java = answer(c.with(Backend.JAVA), x);
    assertEquals(fused.names, java.names);
    for (int i = 0; i < fused.names.size(); i++) {
      String text = c + " of " + data + ": " + fused.names.get(i);
      assertSame(fused.values.get(i), java.values.get(i), text);
    }
  }

  /** NaN is NaN, whatever its bits. */
  private static void assertSame(float[] fused, float[] java, String text) {
    if (Arrays.equals(fused, java)) { // by their bits, but for NaN: a fifth of the loop's time
      return;
    }
    int differences = 0;
    int first = -1;
    for (int e = 0; e < fused.length; e++) {
      if (Float.floatToIntBits(fused[e]) != Float.floatToIntBits(java[e])) {
        first = differences == 0 ? e : first;
        differences++;
      }
    }
    int at = first;
    int count = differences;
    fail(
        () ->
            text
                + ": "
                + count
                + " differ of "
                + fused.length
                + ", element "
                + at
                + ": FUSED "
                + fused[at]
                + " JAVA "
                + java[at]);
  }
}
