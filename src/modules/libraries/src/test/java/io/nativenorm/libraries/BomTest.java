package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.File;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Test;

/** What importing nativenorm-bom makes of the three versions of JavaCPP that are asked for here. */
class BomTest {
  @Test
  void classesAndBinariesOfJavaCppAreThoseThatNativeNormWasBuiltWith() throws Exception {
    String dnnl = Loader.getVersion("org.bytedeco", "dnnl");
    String version = dnnl.substring(dnnl.indexOf('-') + 1);
    Set<String> jars =
        Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
            .map(path -> Path.of(path).getFileName().toString())
            .filter(name -> name.startsWith("javacpp-"))
            .collect(Collectors.toSet());
    assertEquals(
        Set.of("javacpp-" + version + ".jar", "javacpp-" + version + "-linux-x86_64.jar"), jars);
  }
}
