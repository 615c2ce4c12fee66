package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * The code of the docs is run by a test that is there, and is the code that is tested and timed.
 */
class DocsTest {
  private static final Path SOURCES = Path.of("src/main/java/io/nativenorm/libraries");

  @Test
  void allCodeIsRun() throws Exception {
    List<DocsCode> all = DocsCode.all();
    assertFalse(all.isEmpty());
    for (DocsCode code : all) {
      Class<?> test = Class.forName(getClass().getPackageName() + "." + code.test());
      assertEquals(LibraryTest.class, test.getSuperclass(), code.test());
    }
  }

  @Test
  void typesAreThoseOfTheModule() throws Exception {
    for (DocsCode code : DocsCode.all()) {
      for (int i = 0; i < code.types().size(); i++) {
        Path file = SOURCES.resolve(code.typeNames().get(i) + ".java");
        assertTrue(Files.readString(file).contains(code.types().get(i)), file.toString());
      }
    }
  }
}
