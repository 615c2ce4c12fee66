package io.nativenorm.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is the same for all commands. */
class MainTest {
  @TempDir private Path folder;

  private static CommandLineRun run(String line) {
    return CommandLineRun.of(line.isEmpty() ? new String[0] : line.split(" "));
  }

  @ParameterizedTest
  @ValueSource(strings = {"--help", "doctor --help", "normalize --help", "generate-completion -h"})
  void helpTellsTheExitStatuses(String line) {
    CommandLineRun run = run(line);
    run.assertDone();
    assertTrue(run.out().startsWith("Usage: nativenorm"), run.out());
    String statuses = run.out().substring(run.out().indexOf("Exit status:"));
    for (String status : List.of("0", "1", "2", "141")) {
      assertTrue(
          statuses.lines().anyMatch(text -> text.strip().startsWith(status + " ")), run.out());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"--version", "doctor -V", "normalize --version", "generate-completion -V"})
  void everyCommandTellsTheVersion(String line) {
    CommandLineRun run = run(line);
    run.assertDone();
    assertTrue(run.out().startsWith("NativeNorm "), run.out());
    assertTrue(run.out().contains("ONEDNN: oneDNN 3.11"), run.out());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"bogus", "--bogus", "doctor --bogus", "doctor extra", "normalize", "--json"})
  void whatIsNotUnderstoodIsSaidInOneLine(String line) {
    CommandLineRun run = run(line);
    assertEquals(2, run.status());
    assertEquals("", run.out());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().startsWith("nativenorm"), run.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          nativenorm no                        | normalize
          nativenorm normalize --tr            | --training
          nativenorm normalize --op ''         | batch group instance layer rms
          nativenorm normalize --layout ''     | first last
          nativenorm normalize --input some    | some.npy
          nativenorm doctor --js               | --json
          """)
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "bash")
  void bashCompletes(String typed, String expected) throws Exception {
    Path script = folder.resolve("completion");
    CommandLineRun run = run("generate-completion");
    run.assertDone();
    Files.write(script, run.data());
    Files.writeString(folder.resolve("some.npy"), "");
    String words = "COMP_WORDS=(" + typed + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))";
    String line =
        "source ./completion; "
            + words
            + "; _complete_nativenorm; printf '%s\\n' \"${COMPREPLY[@]}\"";
    Process bash = new ProcessBuilder("bash", "-c", line).directory(folder.toFile()).start();
    CommandLineProcess completed = CommandLineProcess.end(bash);
    String[] candidates = completed.out().strip().split("\\s+");
    Arrays.sort(candidates);
    assertEquals(expected, String.join(" ", candidates));
  }
}
