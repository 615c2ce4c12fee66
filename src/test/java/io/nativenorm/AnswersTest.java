package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Operation;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.Task;
import io.nativenorm.engine.memory.Memory;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * FUSED and JAVA give the bits that every machine gives: of some thousand problems their hashes are
 * first in the lines of answers.txt, which the native tests hold every instruction set to. SSE4 has
 * a file of its own. {@code -Dnativenorm.answers.share=10} takes every tenth, for JVMs that are
 * slow.
 */
class AnswersTest {
  private static final int STEP = Integer.getInteger("nativenorm.answers.share", 1);

  @ParameterizedTest
  @EnumSource(names = {"FUSED", "JAVA"})
  void areThoseOfEveryMachine(Backend backend) throws IOException {
    Engine engine =
        Engines.all().stream().filter(e -> e.backend() == backend).findFirst().orElseThrow();
    if (backend == Backend.FUSED) {
      TestEngines.assumeFused();
      // Every instruction set has a file: none may get away by promising nothing.
      assertEquals(!engine.description().contains("SSE4"), engine.isReproducible());
    } else {
      // Without fma JAVA goes by doubles; FusedMultiplyAddTest sees to that it says so then alone.
      Assumptions.assumeTrue(engine.isReproducible(), engine::description);
    }
    List<String> hashes = read(engine.isReproducible() ? "answers.txt" : "answers-sse4.txt");
    int compared = 0;
    List<String> wrong = new ArrayList<>();
    for (int i = 0; i < hashes.size(); i += STEP, compared++) {
      // Every other problem by several: the native tests ask all of them all numbers of threads.
      boolean helped = backend == Backend.FUSED && compared % 2 == 1;
      Question question = Question.of(i, helped ? 3 : 1);
      String hash = String.format("%016x", hash(engine, question));
      if (!hashes.get(i).startsWith(hash + " ")) {
        wrong.add(i + " " + question.problem());
      }
    }
    assertTrue(compared > 500, compared + " compared");
    assertEquals(List.of(), wrong.subList(0, Math.min(wrong.size(), 20)), wrong.size() + " differ");
  }

  private static List<String> read(String name) throws IOException {
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(
                Objects.requireNonNull(AnswersTest.class.getResourceAsStream(name), name),
                StandardCharsets.US_ASCII))) {
      return lines.lines().toList();
    }
  }

  /** FNV-1a over the bits of all that comes out. */
  private static long hash(Engine engine, Question q) {
    Problem forward = q.problem();
    Problem backward = forward.withTask(Task.BACKWARD);
    boolean rms = forward.norm().operation() == Operation.RMS;
    int elements = Math.toIntExact(forward.shape().elements());
    int units = Math.toIntExact(forward.unitCount());
    try (Tensor x = tensor(q.x());
        Tensor dy = tensor(q.dy());
        Tensor weight = tensor(q.weight());
        Tensor bias = tensor(q.bias());
        Tensor y = tensor(new float[elements]);
        Tensor mean = rms ? null : tensor(q.mean() == null ? new float[units] : q.mean());
        Tensor variance = tensor(q.variance() == null ? new float[units] : q.variance());
        Tensor dx = tensor(new float[elements]);
        Tensor dweight = like(q.weight());
        Tensor dbias = like(q.bias())) {
      Operands operands =
          Operands.NONE
              .with(Slot.SRC, memory(x))
              .with(Slot.DST, memory(y))
              .with(Slot.WEIGHT, memory(weight))
              .with(Slot.BIAS, memory(bias))
              .with(Slot.MEAN, memory(mean))
              .with(Slot.VARIANCE, memory(variance));
      engine.prepare(forward).execute(operands);
      engine
          .prepare(backward)
          .execute(
              operands
                  .with(
                      Slot.DST, forward.fusion().activation() == Activation.NONE ? null : memory(y))
                  .with(Slot.BIAS, null)
                  .with(Slot.DIFF_DST, memory(dy))
                  .with(Slot.DIFF_SRC, memory(dx))
                  .with(Slot.DIFF_WEIGHT, memory(dweight))
                  .with(Slot.DIFF_BIAS, memory(dbias)));
      long hash = 0xcbf29ce484222325L;
      for (Tensor result : Arrays.asList(y, mean, variance, dx, dweight, dbias)) {
        if (result != null) {
          for (float value : result.toArray()) {
            hash = (hash ^ Float.floatToIntBits(value) & 0xffffffffL) * 0x100000001b3L;
          }
        }
      }
      return hash;
    }
  }

  private static Tensor tensor(float[] values) {
    return values == null ? null : Tensor.of(values, values.length);
  }

  private static Tensor like(float[] values) {
    return values == null ? null : Tensor.zeros(values.length);
  }

  private static Memory memory(Tensor tensor) {
    return tensor == null ? null : tensor.memory();
  }
}
