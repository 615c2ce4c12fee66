package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertFalse;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** The test of a library, in a process of its own: also of what the docs say about it. */
abstract class LibraryTest {
  @TempDir private Path folder;

  @TestFactory
  Stream<DynamicTest> theCodeOfTheDocsRuns() {
    List<DocsCode> own =
        DocsCode.all().stream()
            .filter(code -> code.test().equals(getClass().getSimpleName()))
            .toList();
    assertFalse(own.isEmpty(), "the docs have no code that this runs");
    return own.stream()
        .map(
            code ->
                DynamicTest.dynamicTest(
                    code.title(),
                    () -> code.run(given(), Files.createTempDirectory(folder, "code"))));
  }

  /** Statements for what the code takes as given. */
  String given() throws Exception {
    return "";
  }
}
