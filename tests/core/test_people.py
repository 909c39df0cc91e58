"""A desk enters people; only an unlocked session reads and finds them."""

import pytest
from sqlalchemy import select, text, update

from menwei import names, schema
from menwei.cardformats import equivalents
from menwei.changes import (
    ExternalIdTaken,
    IdentifierTaken,
    InvalidName,
    InvalidPin,
    UnknownCredential,
    UnknownHolder,
)
from menwei.keys import ManagerPrivate
from menwei.model import FOREVER, CredentialIdentifier, CredentialState, IdentifierType
from menwei.people import ManagerMissing, People
from menwei.rights import PutProfile
from rights_support import DESK, KEYS, RESIDENTS, card, opened

MANAGER = ManagerPrivate.generate()


class Desk:
    def __init__(self, house):
        self.house = house
        self.people = People(house.store, house.rights, KEYS)

    async def add(self, name, **more):
        return await self.people.add(name, actor=DESK, **more)

    async def found(self, text):
        return {person.name for person in await self.people.search(text, MANAGER)}

    def find(self, identifier):
        return self.house.snapshot.find(KEYS.digest(identifier))


@pytest.fixture
async def desk(tmp_path):
    async with opened(tmp_path) as house:
        async with house.store.transaction() as tx:
            await tx.execute(update(schema.manager).values(public=MANAGER.public))
        await house.apply(PutProfile(RESIDENTS))
        yield Desk(house)


async def test_a_person_gets_in_with_the_card_they_were_entered_with(desk):
    holder = await desk.add("王小明", cards=[card("04A1B2C3")], profiles=["residents"], valid_to=9000.0)
    found = desk.find(card("04A1B2C3"))
    assert (found.holder, found.valid_from, found.valid_to) == (holder, 1000.0, 9000.0)
    assert found.profiles == ("residents",)


async def test_a_card_is_known_in_every_form_a_reader_may_read(desk):
    await desk.add("王小明", cards=[card("04A1B2C3")])
    forms = [form for form in equivalents(card("04A1B2C3")) if not form.format.startswith("wiegand26")]
    assert len(forms) > 3
    assert {desk.find(form).id for form in forms} == {desk.find(card("04A1B2C3")).id}


async def test_two_cards_that_only_a_26_bit_reader_takes_for_one_are_both_enrolled(desk):
    await desk.add("王小明", cards=[card("04A1B2C3")])
    other = await desk.add("李四", cards=[card("04A1B2C4")])
    assert desk.find(card("04A1B2C4")).holder == other


async def test_where_there_is_a_26_bit_reader_the_second_of_them_is_refused(desk):
    desk.people = People(
        desk.house.store, desk.house.rights, KEYS, formats=frozenset({"uid", "wiegand26-le"})
    )
    await desk.add("王小明", cards=[card("04A1B2C3")])
    with pytest.raises(IdentifierTaken, match="wiegand26-le"):
        await desk.add("李四", cards=[card("04A1B2C4")])


async def test_a_site_may_keep_only_the_forms_its_readers_use(desk):
    desk.people = People(desk.house.store, desk.house.rights, KEYS, formats=frozenset({"decimal"}))
    await desk.add("王小明", cards=[card("04A1B2C3")])
    known = {form.format for form in equivalents(card("04A1B2C3")) if desk.find(form)}
    assert known == {"uid", "decimal"}


async def test_losing_one_card_does_not_end_the_other(desk):
    await desk.add("王小明", cards=[card("04A1B2C3"), card("04A1B2C4")])
    await desk.people.set_state(desk.find(card("04A1B2C3")).id, CredentialState.LOST, actor=DESK)
    assert desk.find(card("04A1B2C3")).state is CredentialState.LOST
    assert desk.find(card("04A1B2C4")).state is CredentialState.ENABLED


async def test_a_code_that_stands_alone_is_an_identifier(desk):
    code = CredentialIdentifier(IdentifierType.PIN, "code", "739155")
    await desk.add("访客", cards=[code])
    assert desk.find(code).factors == {IdentifierType.PIN}


async def test_pin_and_duress_pin_are_kept_as_hashes_of_their_credential(desk):
    await desk.add("王小明", cards=[card("04A1B2C3")], pin="2468", duress_pin="8642")
    found = desk.find(card("04A1B2C3"))
    assert found.pin == KEYS.pin(found.id, "2468")
    assert found.duress == KEYS.pin(found.id, "8642")
    await desk.people.set_pin(found.id, None, actor=DESK)
    assert desk.find(card("04A1B2C3")).factors == {IdentifierType.CARD}


@pytest.mark.parametrize("pin", ["", "123", "123456789", "12a4", "１２３４"])
async def test_a_pin_has_four_to_eight_digits(desk, pin):
    with pytest.raises(InvalidPin):
        await desk.add("王小明", cards=[card("04A1B2C3")], pin=pin)
    assert await desk.people.list() == []


async def test_a_pin_without_a_card_is_refused(desk):
    with pytest.raises(InvalidPin, match="belongs to a card"):
        await desk.add("王小明", pin="2468")


async def test_a_card_of_somebody_else_enters_nobody(desk):
    await desk.add("王小明", cards=[card("04A1B2C3")])
    with pytest.raises(IdentifierTaken):
        await desk.add("李四", cards=[card("04A1B2C3")])
    assert len(await desk.people.list()) == 1


@pytest.mark.parametrize("name", ["", "  ", "\t\n", "\x00"])
async def test_a_person_needs_a_name(desk, name):
    with pytest.raises(InvalidName):
        await desk.add(name)


async def test_renewing_keeps_everything_else(desk):
    await desk.add("王小明", cards=[card("04A1B2C3")], profiles=["residents"], pin="2468", label="蓝色门卡")
    before = desk.find(card("04A1B2C3"))
    await desk.people.set_validity(before.id, 5000.0, 6000.0, actor=DESK)
    after = desk.find(card("04A1B2C3"))
    assert (after.valid_from, after.valid_to) == (5000.0, 6000.0)
    assert (after.profiles, after.pin, after.factors) == (before.profiles, before.pin, before.factors)
    await desk.people.set_profiles(before.id, [], actor=DESK)
    assert (desk.find(card("04A1B2C3")).profiles, desk.find(card("04A1B2C3")).valid_to) == ((), 6000.0)
    person = await desk.people.get(before.holder, MANAGER)
    assert person.labels == {before.id: "蓝色门卡"}


async def test_who_leaves_has_no_right_left_and_the_card_can_be_given_out_again(desk):
    holder = await desk.add("王小明", cards=[card("04A1B2C3")])
    await desk.people.end(holder, actor=DESK)
    assert desk.find(card("04A1B2C3")).state is CredentialState.ENDED
    assert (await desk.people.get(holder)).ended == 1000.0
    again = await desk.add("李四", cards=[card("04A1B2C3")])
    assert desk.find(card("04A1B2C3")).holder == again


async def test_one_more_credential_and_one_more_identifier(desk):
    holder = await desk.add("王小明", cards=[card("04A1B2C3")])
    second = await desk.people.add_credential(holder, [card("04A1B2C4")], pin="2468", actor=DESK)
    face = CredentialIdentifier(IdentifierType.FACE, "subject", "7")
    await desk.people.add_identifier(second, face, actor=DESK)
    assert desk.find(face).factors == {IdentifierType.CARD, IdentifierType.FACE, IdentifierType.PIN}
    assert len((await desk.people.get(holder)).credentials) == 2


async def test_unknown_people_and_credentials_are_errors(desk):
    with pytest.raises(UnknownHolder):
        await desk.people.end(7, actor=DESK)
    with pytest.raises(UnknownHolder):
        await desk.people.change(7, name="李四", actor=DESK)
    with pytest.raises(UnknownCredential):
        await desk.people.set_validity(7, 0.0, FOREVER, actor=DESK)
    assert await desk.people.get(7) is None


# -------------------------------------------------------------------------------------------------------- privacy


async def test_while_locked_a_person_is_a_number(desk):
    holder = await desk.add(
        "王小明", phone="138 0013 8000", note="轮椅", external_id="L-17", cards=[card("04A1B2C3")]
    )
    person = await desk.people.get(holder)
    assert (person.id, len(person.credentials)) == (holder, 1)
    assert (person.name, person.phone, person.note, person.external_id, person.labels) == (
        None,
        None,
        None,
        None,
        {},
    )


async def test_the_manager_reads_what_the_desk_wrote(desk):
    holder = await desk.add(" 王\u3000小明 ", phone="138 0013 8000", note="轮椅", external_id="L-17")
    person = await desk.people.get(holder, MANAGER)
    assert (person.name, person.phone, person.note) == ("王小明", "138 0013 8000", "轮椅")
    assert person.external_id == "L-17"


async def test_another_managers_key_reads_nothing_and_hides_nobody(desk):
    await desk.add("王小明")
    (person,) = await desk.people.list(ManagerPrivate.generate())
    assert person.name is None


async def test_nothing_that_was_typed_stands_in_the_files(desk, tmp_path):
    await desk.add(
        "王小明", phone="13800138000", note="轮椅通道", external_id="L-17-secret", label="蓝色门卡",
        cards=[card("04A1B2C3")], pin="24681357",
    )  # fmt: skip
    assert await desk.found("小明") == {"王小明"}
    async with desk.house.store.engine.connect() as connection:
        await connection.execute(text("PRAGMA wal_checkpoint(FULL)"))
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"residents" in content
    for secret in ("小明", "xiaoming", "13800138000", "轮椅", "L-17-secret", "蓝色", "04A1B2C3", "24681357"):
        assert secret.encode() not in content, secret


async def test_a_person_in_a_traceback_has_no_name(desk):
    await desk.add("王小明")
    (person,) = await desk.people.list(MANAGER)
    assert "王" not in repr(person)


async def test_names_can_not_be_written_before_there_is_a_manager(desk):
    async with desk.house.store.transaction() as tx:
        await tx.execute(update(schema.manager).values(public=None))
    with pytest.raises(ManagerMissing):
        await desk.add("王小明")


# --------------------------------------------------------------------------------------------------------- search


@pytest.mark.parametrize(
    "typed",
    [
        "张三丰",
        "张",
        "三丰",
        "丰",
        "张三",
        "zhangsanfeng",
        "ZHANG",
        "feng",
        "zsf",
        "张 zsf",
        "张三丰 8000",
        "13800138000",
        "+86 138 0013 8000",
    ],
)
async def test_a_chinese_name_is_found(desk, typed):
    await desk.add("张三丰", phone="+86 13800138000")
    await desk.add("李四", phone="13900139001")
    assert await desk.found(typed) == {"张三丰"}


@pytest.mark.parametrize("typed", ["anna", "SCHMIDT", "schmidt anna", "Ａｎｎａ"])
async def test_a_latin_name_is_found_by_its_words(desk, typed):
    await desk.add("Anna Schmidt")
    await desk.add("Bernd Schmidtke")
    assert await desk.found(typed) == {"Anna Schmidt"}


@pytest.mark.parametrize("typed", ["", "  ", "王五", "张丰", "li zsf", "' OR 1=1 --", "%"])
async def test_what_nobody_is_called_finds_nobody(desk, typed):
    await desk.add("张三丰")
    assert await desk.found(typed) == set()


@pytest.mark.parametrize("typed", ["shan", "dan"])
async def test_a_family_name_with_two_readings_is_found_by_both(desk, typed):
    await desk.add("单雄信")
    assert await desk.found(typed) == {"单雄信"}


async def test_who_was_renamed_is_found_by_the_new_name_only(desk):
    holder = await desk.add("张三丰")
    assert await desk.found("张") == {"张三丰"}
    await desk.people.change(holder, name="李四", note="改名", actor=DESK)
    assert await desk.found("张") == set()
    assert await desk.found("李") == {"李四"}


async def test_a_correction_leaves_the_rest_as_it_was(desk):
    holder = await desk.add("张三丰", phone="13800138000", external_id="L-17")
    await desk.people.change(holder, phone="", note="三楼", extended=True, actor=DESK)
    person = await desk.people.get(holder, MANAGER)
    assert (person.name, person.phone, person.note) == ("张三丰", None, "三楼")
    assert (person.external_id, person.extended) == ("L-17", True)


async def test_people_of_an_older_tokeniser_are_indexed_again(desk):
    await desk.add("张三丰")
    assert await desk.people.index(MANAGER) == 1
    assert await desk.people.index(MANAGER) == 0
    async with desk.house.store.transaction() as tx:
        await tx.execute(update(schema.holders).values(indexed=names.tokeniser() - 1))
    assert await desk.people.index(MANAGER) == 1


async def test_removing_a_person_removes_their_search_words(desk):
    holder = await desk.add("张三丰")
    await desk.people.index(MANAGER)
    await desk.people.remove(holder, actor=DESK)
    async with desk.house.store.read() as connection:
        assert (await connection.execute(select(schema.holder_index))).all() == []


async def test_people_come_in_pages(desk):
    for number in range(7):
        await desk.add(f"张{number}")
    first = await desk.people.list(limit=3)
    second = await desk.people.list(limit=3, after=first[-1].id)
    third = await desk.people.search("张", MANAGER, after=second[-1].id)
    assert [len(page) for page in (first, second, third)] == [3, 3, 1]
    assert len({person.id for page in (first, second, third) for person in page}) == 7


async def test_somebody_is_found_by_the_id_of_another_system(desk):
    holder = await desk.add("张三丰", external_id=" L-17 ")
    assert await desk.people.by_external_id("L-17") == holder
    assert await desk.people.by_external_id("Ｌ－１７") == holder, "as an input method may type it"
    assert await desk.people.by_external_id("L-18") is None
    with pytest.raises(ExternalIdTaken):
        await desk.add("李四", external_id="L-17")


async def test_a_plugin_enters_people_in_its_own_transaction(desk):
    with pytest.raises(RuntimeError):
        async with desk.house.store.transaction() as tx:
            await desk.people.add("张三丰", cards=[card("04A1B2C3")], actor=DESK, tx=tx)
            raise RuntimeError
    assert await desk.people.list() == []
    assert desk.find(card("04A1B2C3")) is None


def test_a_name_is_kept_composed_and_without_control_characters():
    assert names.clean("  Jose\u0301\x00\n García ") == "José García"


@pytest.mark.parametrize("typed", ["张 三", "张　　三", "张\u200b三", "\ufeff张\u2060三 "])
def test_a_chinese_name_padded_or_pasted_with_what_nobody_sees_is_the_name(typed):
    assert names.clean(typed) == "张三"


def test_the_spaces_of_other_names_stay():
    assert names.clean("Anna  Lee") == "Anna Lee"
    assert names.clean("李 Anna") == "李 Anna"
