package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.nativenorm.cli.NpyFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * ONNX's node tests of the normalization operators, on every engine. They are not part of the
 * sources: the environment variable NATIVENORM_CONFORMANCE names a folder whose {@code onnx} has
 * them, a folder a case. Without it they are skipped, and that is said; a folder without cases
 * fails.
 */
class OnnxConformanceTest {
  private static final String VARIABLE = "NATIVENORM_CONFORMANCE";

  /** L1 norms, norms over an axis in the middle, and windows over channels are no layer of ours. */
  private static final Set<String> INEXPRESSIBLE =
      Set.of(
          "test_l1normalization_axis_0",
          "test_l1normalization_axis_1",
          "test_l1normalization_axis_last",
          "test_l2normalization_axis_0",
          "test_lrn",
          "test_lrn_default");

  private record Array(float[] values, long[] shape) {}

  private record Case(
      String name, String op, JsonObject attributes, List<Array> in, List<Array> out) {
    double attribute(String key) {
      return attributes.get(key).getAsDouble();
    }

    boolean isTraining() {
      return attributes.has("training_mode") && attribute("training_mode") == 1;
    }
  }

  @TestFactory
  Stream<DynamicTest> cases() throws IOException {
    String named = System.getenv(VARIABLE);
    if (named == null) {
      String reason = "NOT TESTED: ONNX's node tests, since " + VARIABLE + " names no folder";
      System.err.println(reason);
      return Stream.of(DynamicTest.dynamicTest("ONNX's cases", () -> Assumptions.abort(reason)));
    }
    return tests(Path.of(named, "onnx")).stream();
  }

  /** Each case that a layer can express, on each engine; throws where there is no folder. */
  private static List<DynamicTest> tests(Path root) throws IOException {
    Set<String> left = new TreeSet<>(INEXPRESSIBLE);
    List<DynamicTest> tests = new ArrayList<>();
    try (Stream<Path> folders = Files.list(root)) {
      for (Path folder : folders.filter(Files::isDirectory).sorted().toList()) {
        Case c = read(folder);
        if (left.remove(c.name)) {
          continue;
        }
        for (Backend backend : TestEngines.all()) {
          tests.add(DynamicTest.dynamicTest(c.name + " " + backend, () -> check(c, backend)));
        }
      }
    }
    assertFalse(tests.isEmpty(), VARIABLE + " names a folder without cases: " + root);
    assertEquals(Set.of(), left, "cases that are said to be inexpressible, but are not there");
    return tests;
  }

  private static Case read(Path folder) throws IOException {
    JsonObject json =
        JsonParser.parseString(Files.readString(folder.resolve("case.json"))).getAsJsonObject();
    return new Case(
        json.get("name").getAsString(),
        json.get("op").getAsString(),
        json.getAsJsonObject("attributes_effective"),
        arrays(folder, json.getAsJsonArray("inputs")),
        arrays(folder, json.getAsJsonArray("outputs")));
  }

  private static List<Array> arrays(Path folder, JsonArray descriptions) throws IOException {
    List<Array> arrays = new ArrayList<>();
    for (JsonElement description : descriptions) {
      String file = description.getAsJsonObject().get("file").getAsString();
      Path path = folder.resolve(file);
      arrays.add(new Array(NpyFiles.values(path), NpyFiles.shape(path)));
    }
    return arrays;
  }

  private static void check(Case c, Backend backend) {
    Array x = c.in.get(0);
    try (NormLayer layer = layer(c, x.shape, backend);
        Tensor input = Tensor.of(x.values, x.shape);
        Tensor y = c.isTraining() ? Tensor.zeros(x.shape) : layer.forward(input);
        Pass pass = hasMore(c) ? layer.forwardTraining(input) : null) {
      assertClose(c.out.get(0), c.isTraining() ? pass.output().toArray() : y.toArray(), c.name);
      if (pass != null) {
        checkFurtherOutputs(c, layer, pass);
      }
    }
  }

  private static boolean hasMore(Case c) {
    return c.out.size() > 1;
  }

  private static void checkFurtherOutputs(Case c, NormLayer layer, Pass pass) {
    if (c.op.equals("BatchNormalization")) {
      assertClose(c.out.get(1), layer.state().get("running_mean").toArray(), c.name + " mean");
      assertClose(c.out.get(2), layer.state().get("running_var").toArray(), c.name + " var");
      return;
    }
    assertClose(c.out.get(0), pass.output().toArray(), c.name + " output of training");
    assertClose(c.out.get(1), pass.mean().toArray(), c.name + " Mean");
    float[] inverse = pass.variance().toArray();
    for (int i = 0; i < inverse.length; i++) {
      inverse[i] = (float) (1 / Math.sqrt(inverse[i] + c.attribute("epsilon")));
    }
    assertClose(c.out.get(2), inverse, c.name + " InvStdDev");
  }

  private static NormLayer layer(Case c, long[] shape, Backend backend) {
    return switch (c.op) {
      case "BatchNormalization" -> batch(c, shape, backend);
      case "LayerNormalization" ->
          affine(
              c,
              LayerNorm.builder(trailing(c, shape)).backend(backend).eps(c.attribute("epsilon")));
      case "RMSNormalization" ->
          affine(
              c, RmsNorm.builder(trailing(c, shape)).backend(backend).eps(c.attribute("epsilon")));
      case "GroupNormalization" ->
          affine(
              c,
              GroupNorm.builder((long) c.attribute("num_groups"), shape[1])
                  .backend(backend)
                  .eps(c.attribute("epsilon")));
      case "InstanceNormalization" ->
          affine(
              c,
              InstanceNorm.builder(shape[1])
                  .affine(true)
                  .backend(backend)
                  .eps(c.attribute("epsilon")));
      case "MeanVarianceNormalization" -> meanVariance(c, shape, backend);
      case "LpNormalization" -> l2(c, shape, backend);
      default -> throw new AssertionError("an operator nobody thought of: " + c.op);
    };
  }

  private static NormLayer affine(Case c, LayerBuilder<?> builder) {
    NormLayer layer = builder.build();
    layer.weight().copyFrom(c.in.get(1).values);
    if (layer.bias() != null) {
      layer.bias().copyFrom(c.in.get(2).values);
    }
    return layer;
  }

  private static NormLayer batch(Case c, long[] shape, Backend backend) {
    NormLayer layer =
        affine(
            c,
            BatchNorm.builder(shape[1])
                .backend(backend)
                .eps(c.attribute("epsilon"))
                .decay(c.attribute("momentum"))
                .runningVariance(RunningVariance.POPULATION));
    layer.state().get("running_mean").copyFrom(c.in.get(3).values);
    layer.state().get("running_var").copyFrom(c.in.get(4).values);
    return layer;
  }

  /** Over samples and positions: a batch's own statistics, no parameters. */
  private static NormLayer meanVariance(Case c, long[] shape, Backend backend) {
    assertEquals("[0,2,3]", c.attributes.get("axes").toString());
    return BatchNorm.builder(shape[1])
        .backend(backend)
        .affine(false)
        .trackRunningStats(false)
        .eps(1e-9) // what ONNX's function adds, to the standard deviation
        .build();
  }

  /** x / |x| is x / rms(x) / sqrt(n). */
  private static NormLayer l2(Case c, long[] shape, Backend backend) {
    assertEquals(2, c.attribute("p"));
    long[] row = trailing(c, shape);
    assertEquals(1, row.length, "RmsNorm takes the last axis");
    RmsNorm layer = RmsNorm.builder(row).backend(backend).eps(0).build();
    float[] weight = new float[(int) row[0]];
    Arrays.fill(weight, (float) (1 / Math.sqrt(row[0])));
    layer.weight().copyFrom(weight);
    return layer;
  }

  private static long[] trailing(Case c, long[] shape) {
    int axis = (int) c.attribute("axis");
    return Arrays.copyOfRange(shape, axis < 0 ? axis + shape.length : axis, shape.length);
  }

  private static void assertClose(Array expected, float[] actual, String what) {
    double error = TestData.largestMixedError(TestData.widen(expected.values), actual);
    assertTrue(error <= 1e-5, () -> what + ": |error| / (1 + |y|) is " + error);
  }
}
