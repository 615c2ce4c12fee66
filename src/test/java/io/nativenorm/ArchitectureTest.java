package io.nativenorm;

import static com.tngtech.archunit.base.DescribedPredicate.alwaysTrue;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.NativeAccess;
import io.nativenorm.engine.Recordings;
import org.junit.jupiter.api.Test;

/** The way of the data is one way: layer, problem, engine, plan (docs/architecture.md). */
@SameOnAnyJvm
class ArchitectureTest {
  private static final String LAYERS = "io.nativenorm";
  private static final String ENGINES = "io.nativenorm.engine.(*)..";
  private static final String MEMORY = "io.nativenorm.engine.memory..";

  private static final JavaClasses MAIN =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(LAYERS);

  @Test
  void allPackagesAreThere() {
    for (String part :
        new String[] {"", ".engine", ".engine.fused", ".engine.memory", ".file", ".cli"}) {
      assertTrue(MAIN.containPackage(LAYERS + part), part);
    }
  }

  @Test
  void noEngineKnowsAnother() {
    slices()
        .matching(ENGINES)
        .should()
        .notDependOnEachOther()
        .ignoreDependency(alwaysTrue(), resideInAPackage(MEMORY))
        .check(MAIN);
  }

  /** It is at everybody's feet: all it asks is whether there is native code, or a recording. */
  @Test
  void memoryKnowsNothingOfWhatIsDoneWithIt() {
    noClasses()
        .that()
        .resideInAPackage(MEMORY)
        .should()
        .dependOnClassesThat(
            resideInAPackage(LAYERS + "..")
                .and(not(resideInAPackage(MEMORY)))
                .and(not(belongToAnyOf(DataType.class, NativeAccess.class, Recordings.class))))
        .check(MAIN);
  }

  /** What they share with layers are words: enums and an exception. */
  @Test
  void noEngineKnowsALayer() {
    noClasses()
        .that()
        .resideInAPackage("io.nativenorm.engine..")
        .should()
        .dependOnClassesThat(
            resideInAPackage(LAYERS)
                .and(
                    not(
                        belongToAnyOf(
                            Activation.class,
                            Backend.class,
                            DataType.class,
                            Layout.class,
                            NativeNormException.class))))
        .check(MAIN);
  }

  @Test
  void enginesAreFoundByTheChoiceAlone() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.nativenorm.engine.*..")
        .and()
        .doNotBelongToAnyOf(Engines.class)
        .should()
        .dependOnClassesThat(
            resideInAPackage("io.nativenorm.engine.*..").and(not(resideInAPackage(MEMORY))))
        .check(MAIN);
  }

  @Test
  void nothingKnowsTheCommandLine() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.nativenorm.cli..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.nativenorm.cli..")
        .check(MAIN);
  }
}
